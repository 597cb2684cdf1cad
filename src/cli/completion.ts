import { Argument, Command } from 'commander'
import { SCRIPTS, type Shell } from './completion-scripts.ts'

/** `berth completion bash`: what a shell must know to complete command lines; it asks `berth __complete` for the words. */
export function completionCommand(out: (text: string) => void = (text) => void process.stdout.write(text)): Command {
  return new Command('completion')
    .description('print what makes a shell complete the words of berth')
    .addArgument(new Argument('<shell>').choices(Object.keys(SCRIPTS)))
    .addHelpText(
      'after',
      `
bash:  berth completion bash > ~/.local/share/bash-completion/completions/berth
       (without the package bash-completion: source it in ~/.bashrc)
zsh:   berth completion zsh > ~/.zfunc/_berth, with fpath+=(~/.zfunc) before compinit in ~/.zshrc
fish:  berth completion fish > ~/.config/fish/completions/berth.fish`,
    )
    .action((shell: Shell) => out(SCRIPTS[shell]))
}
