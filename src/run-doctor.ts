/** The examination of a configuration, for the command line. */
export { examine, type Finding } from './app-doctor.ts'
