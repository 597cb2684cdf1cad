import { z } from 'zod'
import { anything, flag, optional, part, path, text, texts } from './schema.ts'

/** Who may do what (`auth`). */
export const auth = part(
  {
    none: anything('No authentication'),
    silly: anything("The original's authentication for development"),
    token: part(
      {
        realm: text('URL of the token server'),
        service: text('Name of this registry in tokens (aud)'),
        issuer: text('Name of the token server in tokens (iss)'),
        rootcertbundle: path('PEM file of certificates whose tokens are accepted'),
        jwks: path('JWKS file of keys whose tokens are accepted'),
        signingalgorithms: texts('Accepted signature algorithms; empty is every safe one'),
        autoredirect: flag(false, 'Make the realm from the request'),
        autoredirectpath: text('Path of such a realm'),
      },
      'Tokens of a token server',
    ),
    htpasswd: part(
      { realm: text('Realm that clients are shown'), path: path('File of users and bcrypt hashes') },
      'Users of a htpasswd file',
    ),
    anonymous: optional(z.enum(['none', 'pull']), 'Own key: what clients without a login may do'),
  },
  'Who may do what; exactly one kind',
)
