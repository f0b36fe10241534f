// The verbs of the command line, one file each. `args` is what follows the verb; results go to
// `out`, progress and warnings to `err`; the return value is the exit code. User mistakes are
// thrown as Error and become one line in main. No state is kept between calls. Help, the manual page and the
// completion of shells are made from this table.
#pragma once

#include <boost/program_options.hpp>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

namespace winnow {

using VerbOptions = boost::program_options::options_description;

int run_init(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_init_options(VerbOptions& options);
int run_plan(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_plan_options(VerbOptions& options);
int run_run(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_run_options(VerbOptions& options);
int run_resume(std::span<const std::string> args, std::ostream& out, std::ostream& err);
// Is it the verb that trains a sweep, by either of its names?
bool is_run(const std::string& verb);
int run_submit(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_submit_options(VerbOptions& options);
int run_reconcile(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_reconcile_options(VerbOptions& options);
int run_cancel(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_cancel_options(VerbOptions& options);
int run_status(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_status_options(VerbOptions& options);
int run_show(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_show_options(VerbOptions& options);
int run_tail(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_tail_options(VerbOptions& options);
int run_retry(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_retry_options(VerbOptions& options);
int run_collect(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_collect_options(VerbOptions& options);
int run_forget(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_forget_options(VerbOptions& options);
int run_verify(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_verify_options(VerbOptions& options);
int run_report(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_report_options(VerbOptions& options);
int run_bench(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_bench_options(VerbOptions& options);
int run_doctor(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_doctor_options(VerbOptions& options);
int run_methods(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_models(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_datasets(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_listing_options(VerbOptions& options);
int run_explain(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_explain_options(VerbOptions& options);
int run_help(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_help_options(VerbOptions& options);
int run_completion(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_completion_options(VerbOptions& options);
int run_man(std::span<const std::string> args, std::ostream& out, std::ostream& err);
void add_man_options(VerbOptions& options);

struct Verb {
  const char* name;
  // The one that needs no name, as help shows it: "SWEEP"; "[FILE...]": there may be several; empty: there is none.
  const char* argument;
  const char* place;                  // the option that it fills: "sweep"
  const char* meaning;                // one line of `winnow --help`
  void (*add_options)(VerbOptions&);  // all but --help
  int (*run)(std::span<const std::string>, std::ostream&, std::ostream&);
};
const std::vector<Verb>& verbs();
const Verb& find_verb(const std::string& name);  // Error{Usage} naming the nearest

// All of main except argv: picks the verb, turns what it throws into one line and an exit code.
int run_command_line(std::span<const std::string> args, std::ostream& out, std::ostream& err);

}  // namespace winnow
