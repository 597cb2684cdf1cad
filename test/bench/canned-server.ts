/**
 * Answers every request with the same few hundred bytes and does nothing else: what the clients reach against it is
 * their own limit. Prints its port; ends when its standard input does.
 */
const body = 'x'.repeat(700)
const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
)
const END = Buffer.from('\r\n\r\n')

const server = Bun.listen({
  hostname: '127.0.0.1',
  port: 0,
  socket: {
    data: (socket, chunk) => {
      for (let at = chunk.indexOf(END); at !== -1; at = chunk.indexOf(END, at + END.length)) socket.write(answer)
    },
  },
})
console.log(server.port)
process.stdin.on('end', () => process.exit(0)).resume()
