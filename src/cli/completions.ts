/** Shell completions, made from the command line's own definition: what completes is what is understood. */
import { type Command } from "commander";

export const SHELLS = ["bash", "zsh", "fish"] as const;

interface VerbWords {
  readonly name: string;
  readonly description: string;
  readonly options: ReadonlyArray<{
    readonly flags: readonly string[];
    readonly description: string;
    /** What its value is: a file, a directory, something else, or no value. */
    readonly value: "file" | "directory" | "choice" | "other" | "none";
    /** Words that its value may be. */
    readonly choices: readonly string[];
  }>;
  /** Words that its argument may be. */
  readonly choices: readonly string[];
}

/** The script that makes `shell` complete `vipfarm`. */
export function completionScript(program: Command, shell: (typeof SHELLS)[number]): string {
  const verbs = program.createHelp().visibleCommands(program).map(words);
  const names = verbs.map(({ name }) => name);
  const complete = verbs.map((verb) => verb.name === "help" ? { ...verb, choices: names } : verb);
  return { bash, zsh, fish }[shell](complete);
}

function words(verb: Command): VerbWords {
  return {
    name: verb.name(),
    description: verb.description(),
    options: verb.createHelp().visibleOptions(verb).map((option) => ({
      flags: [option.short, option.long].filter((flag) => flag !== undefined && flag !== null),
      description: option.description,
      value: !option.required && !option.optional
        ? "none"
        : option.argChoices !== undefined
        ? "choice"
        : /<FILE>/i.test(option.flags)
        ? "file"
        : /<DIR>/i.test(option.flags)
        ? "directory"
        : "other",
      choices: option.argChoices ?? [],
    })),
    choices: verb.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
  };
}

function bash(verbs: readonly VerbWords[]): string {
  const flagsWith = (
    value: string,
  ) => [
    ...new Set(
      verbs.flatMap(({ options }) =>
        options.filter((each) => each.value === value).flatMap(({ flags }) => flags)
      ),
    ),
  ];
  const cases = verbs.map(({ name, options, choices }) =>
    `    ${name}) words="${[...options.flatMap(({ flags }) => flags), ...choices].join(" ")}" ;;`
  );
  const valueCases = [
    ["file", '      COMPREPLY=($(compgen -f -- "$current"))'],
    ["directory", '      COMPREPLY=($(compgen -d -- "$current"))'],
    ["other", "      COMPREPLY=()"],
  ].flatMap(([kind, reply]) => {
    const flags = flagsWith(kind);
    return flags.length === 0 ? [] : [`    ${flags.join("|")})`, reply, "      return ;;"];
  });
  const choices = new Map(
    verbs.flatMap(({ options }) => options).filter(({ value }) => value === "choice")
      .map((option) => [option.flags.join("|"), option.choices.join(" ")]),
  );
  for (const [flags, words] of choices) {
    const reply = `      COMPREPLY=($(compgen -W "${words}" -- "$current"))`;
    valueCases.push(`    ${flags})`, reply, "      return ;;");
  }
  return `# bash completion of vipfarm
_vipfarm() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${verbs.map(({ name }) => name).join(" ")}" -- "$current"))
    return
  fi
  case "$previous" in
${valueCases.join("\n")}
  esac
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
    *) words="" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _vipfarm vipfarm
`;
}

function zsh(verbs: readonly VerbWords[]): string {
  const quote = (text: string) => text.replaceAll("'", `'\\''`);
  const bracket = (text: string) => quote(text).replaceAll(/[\\[\]:]/g, "\\$&");
  const action = (value: VerbWords["options"][number]["value"], choices: readonly string[]) => ({
    file: ":file:_files",
    directory: ":directory:_files -/",
    choice: `:value:(${choices.join(" ")})`,
    other: ":value: ",
    none: "",
  }[value]);
  const specs = (verb: VerbWords) => [
    ...verb.options.flatMap(({ flags, description, value, choices }) =>
      flags.map((flag) => `'${flag}[${bracket(description)}]${action(value, choices)}'`)
    ),
    ...(verb.choices.length > 0 ? [`'1:argument:(${verb.choices.join(" ")})'`] : []),
  ];
  return `#compdef vipfarm
# zsh completion of vipfarm
_vipfarm() {
  local -a verbs
  verbs=(
${verbs.map(({ name, description }) => `    '${name}:${bracket(description)}'`).join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  local verb=$words[2]
  shift words
  (( CURRENT-- ))
  case $verb in
${verbs.map((verb) => `    ${verb.name}) _arguments ${specs(verb).join(" ")} ;;`).join("\n")}
  esac
}
if [ "$funcstack[1]" = _vipfarm ]; then _vipfarm "$@"; else compdef _vipfarm vipfarm; fi
`;
}

function fish(verbs: readonly VerbWords[]): string {
  const quote = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = ["# fish completion of vipfarm", "complete -c vipfarm -f"];
  for (const { name, description, options, choices } of verbs) {
    lines.push(`complete -c vipfarm -n __fish_use_subcommand -a ${name} -d ${quote(description)}`);
    const here = `complete -c vipfarm -n '__fish_seen_subcommand_from ${name}'`;
    for (const option of options) {
      const flags = option.flags.map((flag) =>
        flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`
      );
      const value = {
        file: " -r -F",
        directory: " -x -a '(__fish_complete_directories)'",
        choice: ` -x -a ${quote(option.choices.join(" "))}`,
        other: " -x",
        none: "",
      };
      lines.push(`${here} ${flags.join(" ")}${value[option.value]} -d ${quote(option.description)}`);
    }
    if (choices.length > 0) lines.push(`${here} -a ${quote(choices.join(" "))}`);
  }
  return `${lines.join("\n")}\n`;
}
