/** Files of users and passwords, for the command line. */
export * from './app-htpasswd.ts'
