// `winnow man`: the manual page in roff, made from the tables of verbs, options and exit codes.
#include <fmt/format.h>

#include <ostream>

#include "experiments/cli/exit_codes.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "winnow_version.h"

namespace winnow {
namespace {

// Dashes stay dashes, and a line that begins with a dot or quote is no request.
std::string roff(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else if ((c == '.' || c == '\'') && (escaped.empty() || escaped.back() == '\n')) {
      escaped += std::string("\\&") + c;
    } else {
      escaped += c;
    }
  }
  return escaped;
}

void write_verb(const Verb& verb, std::ostream& out) {
  out << fmt::format(".SS winnow {}{}{}\n{}.\n", verb.name, *verb.argument == '\0' ? "" : " ", roff(verb.argument),
                     roff(verb.meaning));
  for (const VerbOptions shown = shown_options(verb.name); const auto& option : shown.options()) {
    if (option->long_name() == "help") continue;
    const std::string value = option->semantic()->max_tokens() > 0 ? " VALUE" : "";
    const std::string small =
        option->canonical_display_name(boost::program_options::command_line_style::allow_dash_for_short);
    out << fmt::format(".TP\n\\fB{}\\-\\-{}\\fR{}\n{}\n",
                       small.starts_with("--") || !small.starts_with("-") ? "" : roff(small) + ", ",
                       roff(option->long_name()), value, roff(option->description()));
  }
}

}  // namespace

void add_man_options(VerbOptions&) {}

int run_man(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  if (!parse_arguments("man", args, out)) return 0;
  out << ".TH WINNOW 1 \"\" \"winnow " WINNOW_VERSION
         "\" \"User Commands\"\n"
         ".SH NAME\nwinnow \\- runs sweeps over network\\-compression methods\n"
         ".SH SYNOPSIS\n.B winnow\n.I VERB\n[\\fIarguments\\fR]\n.br\n"
         ".B mpirun \\-n\n.I RANKS\n.B winnow run\n.I SWEEP\n"
         ".SH DESCRIPTION\n"
         "A sweep file says which trials to train. \\fBwinnow plan\\fR checks and prices it, \\fBwinnow run\\fR trains "
         "what is\n"
         "missing, \\fBwinnow collect\\fR gathers the results, and \\fBwinnow report\\fR compares them.\n"
         ".SH VERBS\nEvery verb has \\fB\\-\\-help\\fR.\n";
  for (const Verb& verb : verbs()) write_verb(verb, out);
  out << ".SH EXIT STATUS\n";
  for (const ExitCode& code : exit_codes()) out << fmt::format(".TP\n{}\n{}\n", code.code, roff(code.meaning));
  out << ".SH ENVIRONMENT\n"
         ".TP\nCOLUMNS, LINES\nthe most that tables and the display of a run may take of the window\n"
         ".TP\nNO_COLOR\nno colours if it is set and not empty\n"
         ".TP\nOMP_NUM_THREADS\nthreads of a rank where \\-\\-threads is not given\n";
  return 0;
}

}  // namespace winnow
