import { adoption } from './adoption.ts'
import { audit } from './audit.ts'
import { blobs } from './blobs.ts'
import { collection } from './collection.ts'
import { contents } from './contents.ts'
import type { Database } from './database.ts'
import { deletions } from './deletions.ts'
import { events } from './events.ts'
import { groups } from './groups.ts'
import { immutable } from './immutable.ts'
import { manifests } from './manifests.ts'
import type { Metadata } from './metadata.ts'
import { overview } from './overview.ts'
import { pulls } from './pulls.ts'
import { quotas } from './quotas.ts'
import { referrers } from './referrers.ts'
import { repositories } from './repositories.ts'
import { repositoryChanges } from './repository-changes.ts'
import { retention } from './retention.ts'
import { rules } from './rules.ts'
import { status } from './status.ts'
import { tags } from './tags.ts'
import { tokens } from './tokens.ts'
import { trash } from './trash.ts'
import { uploads } from './uploads.ts'
import { users } from './users.ts'
import { verification } from './verification.ts'

export type Nouns = Omit<Metadata, 'close'>

/** Every noun over one database. */
export function nouns(database: Database): Nouns {
  return {
    repositories: { ...repositories(database), ...repositoryChanges(database) },
    deletions: deletions(database),
    blobs: blobs(database),
    uploads: uploads(database),
    manifests: manifests(database),
    tags: tags(database),
    referrers: referrers(database),
    contents: contents(database),
    collection: collection(database),
    trash: trash(database),
    pulls: pulls(database),
    overview: overview(database),
    immutable: immutable(database),
    retention: retention(database),
    quotas: quotas(database),
    users: users(database),
    groups: groups(database),
    tokens: tokens(database),
    rules: rules(database),
    audit: audit(database),
    events: events(database),
    adoption: adoption(database),
    status: status(database),
    verification: verification(database),
  }
}
