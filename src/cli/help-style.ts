import { type Command, Help, type HelpConfiguration, type Option } from 'commander'

/** Flags that every verb of the client has: they come after those of its own. */
export const CONNECTION_HEADING = 'How the registry is reached:'

/** How the help of a command looks, and that of those below it: a line for each command, and what is its own first. */
export const HELP_STYLE: HelpConfiguration = {
  subcommandTerm(command) {
    // All of Berth's commands in one list: the name, and nothing that makes the column wide.
    if (command.parent?.name() === 'berth' || command.name() === 'help') return command.name()
    return new Help().subcommandTerm(command).replace(' [options]', '')
  },
  groupItems<T extends Command | Option>(unsorted: T[], visible: T[], groupOf: (item: T) => string) {
    const groups = new Help().groupItems(unsorted, visible, groupOf)
    const connection = groups.get(CONNECTION_HEADING)
    if (connection === undefined) return groups
    groups.delete(CONNECTION_HEADING)
    return groups.set(CONNECTION_HEADING, connection)
  },
}
