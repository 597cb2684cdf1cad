console.log('hi', process.argv, process.cwd())
