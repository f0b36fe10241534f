// The verbs of the command line, one file each. `args` is what follows the verb; results go to
// `out`, progress and warnings to `err`; the return value is the exit code. User mistakes are
// thrown as Error and become one line in main. No state is kept between calls.
#pragma once

#include <iosfwd>
#include <span>
#include <string>
#include <vector>

namespace winnow {

int run_plan(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_run(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_status(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_collect(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_report(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_bench(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_methods(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_models(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_datasets(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_explain(std::span<const std::string> args, std::ostream& out, std::ostream& err);

struct Verb {
  const char* name;
  const char* meaning;  // one line of `winnow --help`
  int (*run)(std::span<const std::string>, std::ostream&, std::ostream&);
};
const std::vector<Verb>& verbs();

// All of main except argv: picks the verb, turns what it throws into one line and an exit code.
int run_command_line(std::span<const std::string> args, std::ostream& out, std::ostream& err);

}  // namespace winnow
