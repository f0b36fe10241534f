// `winnow completion SHELL`: what bash or zsh need to complete verbs, options, settings and names. Made from the same
// tables as help, so that it knows what this build knows.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>

#include "core/error.h"
#include "experiments/catalog.h"
#include "experiments/cli/listing.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/report/columns.h"

namespace winnow {
namespace {

using Words = std::vector<std::string>;

Words words_of(const std::vector<Component>& components) {
  Words names;
  for (const Component& component : components) names.push_back(component.name);
  return names;
}

Words verb_names() {
  Words names;
  for (const Verb& verb : verbs()) names.push_back(verb.name);
  return names;
}

// What may stand for the option's value, or for the argument that fills it; nothing: a file or a free text.
Words values_of(const Verb& verb, const std::string& option) {
  const std::string name = verb.name;
  if (option == "name")
    return words_of(name == "methods" ? catalog().methods : name == "models" ? catalog().models : catalog().datasets);
  if (option == "method") return words_of(catalog().methods);
  if (option == "model") return words_of(catalog().models);
  if (option == "precision") return {"auto", "f32", "bf16"};
  if (option == "device") return {"auto", "cpu", "cuda"};
  if (option == "trials-per-device") return {"auto", "1", "2", "4", "8"};
  if (option == "verb") return verb_names();
  if (option == "launch") return {"auto", "srun", "mpirun", "none"};
  if (option == "shell") return {"bash", "zsh"};
  if (option == "key") return setting_keys();
  if (option == "sort" || option == "columns") {
    Words keys;
    for (const ReportColumn& column : report_columns()) keys.push_back(column.key);
    return keys;
  }
  if (option == "set" || option == "only") {
    Words keys = setting_keys();
    for (std::string& key : keys) key += "=";
    return keys;
  }
  return {};
}

struct Option {
  std::string name, small, meaning;  // "--out", "-o" or nothing
  bool has_value = false;
  Words values;
};

std::vector<Option> options_of(const Verb& verb) {
  std::vector<Option> options;
  for (const VerbOptions shown = shown_options(verb.name); const auto& each : shown.options()) {
    Option option{.name = "--" + each->long_name(), .small = {}, .meaning = each->description(), .values = {}};
    const std::string name =
        each->canonical_display_name(boost::program_options::command_line_style::allow_dash_for_short);
    if (name.size() == 2 && name[0] == '-') option.small = name;
    option.has_value = each->semantic()->max_tokens() > 0;
    if (option.has_value) option.values = values_of(verb, each->long_name());
    options.push_back(std::move(option));
  }
  return options;
}

void write_bash(std::ostream& out) {
  out << "# bash completion of winnow, made by `winnow completion bash`\n"
         "_winnow_words() {\n"
         "  COMPREPLY=($(compgen -W \"$1\" -- \"$word\"))\n"
         "  case \"${COMPREPLY[0]}\" in *=) compopt -o nospace;; esac\n"
         "}\n"
         "_winnow_files() {\n"
         "  compopt -o filenames 2> /dev/null\n"
         "  COMPREPLY=($(compgen -f -- \"$word\"))\n"
         "}\n"
         "_winnow() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}\n"
         "  COMPREPLY=()\n";
  out << fmt::format("  if [ \"$COMP_CWORD\" -le 1 ]; then _winnow_words '{} --help --version'; return; fi\n",
                     fmt::join(verb_names(), " "));
  out << "  case \"$verb $before\" in\n";
  for (const Verb& verb : verbs()) {
    for (const Option& option : options_of(verb)) {
      if (!option.has_value) continue;
      std::string pattern = fmt::format("'{} {}'", verb.name, option.name);
      if (!option.small.empty()) pattern += fmt::format("|'{} {}'", verb.name, option.small);
      out << fmt::format(
          "    {}) {}; return;;\n", pattern,
          option.values.empty() ? "_winnow_files" : fmt::format("_winnow_words '{}'", fmt::join(option.values, " ")));
    }
  }
  out << "  esac\n  case \"$verb\" in\n";
  for (const Verb& verb : verbs()) {
    Words flags;
    for (const Option& option : options_of(verb)) flags.push_back(option.name);
    const Words values = *verb.place == '\0' ? Words() : values_of(verb, verb.place);
    std::string argument = "_winnow_files";
    if (*verb.place == '\0') argument = ":";
    if (!values.empty()) argument = fmt::format("_winnow_words '{}'", fmt::join(values, " "));
    out << fmt::format("    {}) if [[ $word == -* ]]; then _winnow_words '{}'; else {}; fi;;\n", verb.name,
                       fmt::join(flags, " "), argument);
  }
  out << "  esac\n}\ncomplete -F _winnow winnow\n";
}

// Within quotes and brackets of _arguments.
std::string zsh_text(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\'') {
      escaped += "'\\''";
    } else if (c == '[' || c == ']' || c == ':' || c == '\\') {
      escaped += std::string("\\") + c;
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string zsh_values(const Words& values) {
  return values.empty() ? "_files" : fmt::format("({})", fmt::join(values, " "));
}

void write_zsh(std::ostream& out) {
  out << "#compdef winnow\n# zsh completion of winnow, made by `winnow completion zsh`\n"
         "_winnow() {\n  local -a verbs\n  verbs=(\n";
  for (const Verb& verb : verbs()) out << fmt::format("    '{}:{}'\n", verb.name, zsh_text(verb.meaning));
  out << "  )\n  if (( CURRENT == 2 )); then _describe verb verbs; return; fi\n"
         "  shift words; (( CURRENT-- ))\n  case $words[1] in\n";
  for (const Verb& verb : verbs()) {
    out << fmt::format("    {}) _arguments", verb.name);
    for (const Option& option : options_of(verb)) {
      const std::string value = option.has_value ? ":value:" + zsh_values(option.values) : "";
      for (const std::string& name : {option.name, option.small}) {
        if (!name.empty()) out << fmt::format(" \\\n      '*{}[{}]{}'", name, zsh_text(option.meaning), value);
      }
    }
    if (*verb.place != '\0') {
      out << fmt::format(" \\\n      '1:{}:{}'", zsh_text(verb.place), zsh_values(values_of(verb, verb.place)));
    }
    out << ";;\n";
  }
  out << "  esac\n}\n_winnow \"$@\"\n";
}

}  // namespace

void add_completion_options(VerbOptions& options) {
  options.add_options()("shell", boost::program_options::value<std::string>(), "bash or zsh");
}

int run_completion(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto given = parse_arguments("completion", args, out);
  if (!given) return 0;
  const std::string shell = given->contains("shell") ? (*given)["shell"].as<std::string>() : "";
  if (shell == "bash") {
    write_bash(out);
  } else if (shell == "zsh") {
    write_zsh(out);
  } else {
    fail(ErrorKind::Usage, "winnow completion bash or winnow completion zsh");
  }
  return 0;
}

}  // namespace winnow
