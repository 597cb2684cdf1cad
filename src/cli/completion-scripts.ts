export type Shell = 'bash' | 'zsh' | 'fish'

/** Lines of `WORD<tab>MEANING`, and a last one that says what else: `:nothing`, `:files` or `:more` (no space behind the word). */
const BASH = `# berth: completion for bash, made by "berth completion bash"
_berth() {
  local before=\${COMP_LINE:0:COMP_POINT} current line then=
  local -a words lines
  COMPREPLY=()
  # Bash takes words apart at colons, which images are full of.
  read -ra words <<<"$before"
  [[ $before == *[[:space:]] ]] && words+=('')
  current=\${words[\${#words[@]}-1]}
  mapfile -t lines < <("\${words[0]}" __complete -- "\${words[@]:1}" 2>/dev/null)
  for line in "\${lines[@]}"; do
    if [[ $line == :* ]]; then then=$line; else COMPREPLY+=("\${line%%$'\\t'*}"); fi
  done
  if [[ $then == :files ]]; then
    compopt -o filenames
    mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
  fi
  [[ $then == :more ]] && compopt -o nospace
  local cut=
  [[ $current == *:* && $COMP_WORDBREAKS == *:* ]] && cut=\${current%"\${current##*:}"}
  [[ $current == *=* && $COMP_WORDBREAKS == *=* ]] && cut=\${current%"\${current##*=}"}
  COMPREPLY=("\${COMPREPLY[@]#"$cut"}")
}
complete -F _berth berth
`

const ZSH = `#compdef berth
# berth: completion for zsh, made by "berth completion zsh"
_berth() {
  local -a lines described
  local line word then=
  lines=("\${(@f)$("\${(Q)words[1]}" __complete -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "\${lines[@]}"; do
    if [[ $line == :* ]]; then then=$line; continue; fi
    word=\${line%%$'\\t'*}
    described+=("\${word//:/\\\\:}:\${line#*$'\\t'}")
  done
  [[ $then == :files ]] && _files
  if [[ $then == :more ]]; then
    _describe -t words berth described -S ''
  else
    _describe -t words berth described
  fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _berth "$@"; else compdef _berth berth; fi
`

const FISH = `# berth: completion for fish, made by "berth completion fish"
function __berth_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  for line in ($words[1] __complete -- $words[2..] "$current" 2>/dev/null)
    switch $line
      case :files
        __fish_complete_path "$current"
      case ':*'
      case '*'
        echo $line
    end
  end
end
complete -c berth -f -a '(__berth_complete)'
`

export const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH }
