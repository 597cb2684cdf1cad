import { z } from 'zod'
import { duration, flag, integer, list, path, section, text } from './schema.ts'

const timing = {
  interval: duration('10s', 'Time between two checks'),
  threshold: integer(0, 'Failures in a row that count; 0 is one'),
}

const checks = <T extends z.ZodRawShape>(shape: () => T, doc: string) =>
  list(() => z.object({ ...shape(), ...timing }), doc)

export const health = section(
  {
    storagedriver: section({ enabled: flag(false, 'Look at the storage'), ...timing }, 'Check of the storage'),
    file: checks(
      () => ({ file: path('File that must not be there') }),
      'Files whose presence takes the registry out of service',
    ),
    http: checks(
      () => ({
        uri: text('URL that is asked with HEAD'),
        headers: z.record(z.string(), z.array(z.string())).default({}).meta({ description: 'Headers', secret: true }),
        statuscode: integer(200, 'Status that it must answer'),
        timeout: duration('0s', 'Longest answer; 0 is 10s'),
      }),
      'URLs that must answer',
    ),
    tcp: checks(
      () => ({
        addr: text('HOST:PORT that must take a connection'),
        timeout: duration('0s', 'Longest wait; 0 is 10s'),
      }),
      'Addresses that must be there',
    ),
  },
  'Health checks: while one fails, every request is answered 503',
)
