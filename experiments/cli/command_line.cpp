#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <ostream>
#include <string_view>

#include "core/error.h"
#include "core/settings.h"
#include "distributed/launch.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/run/provenance.h"
#include "experiments/sweep/diagnostics.h"
#include "kernels/device.h"

namespace winnow {
namespace {

void print_help(std::ostream& out) {
  out << "winnow runs sweeps over network-compression methods\n\n"
         "winnow VERB [arguments]      winnow help VERB shows its options\n\n";
  for (const Verb& verb : verbs()) out << fmt::format("  {:<10} {}\n", verb.name, verb.meaning);
  out << "\nmpirun -n RANKS winnow run SWEEP trains several trials at a time\n";
}

void print_version(std::ostream& out) {
  out << build_summary() << "\n" << mpi_version() << "\n" << fmt::format("HDF5 {}\n", hdf5_version());
}

// Every rank finds the same mistake of the user; one says so.
bool said_by_first_rank(ErrorKind kind) {
  return kind == ErrorKind::Usage || kind == ErrorKind::Settings || kind == ErrorKind::Input || kind == ErrorKind::Site;
}

int dispatch(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  if (args.empty()) {
    if (read_launch().rank == 0) print_help(err);
    return static_cast<int>(ErrorKind::Usage);
  }
  const std::string& word = args.front();
  // Of all that mpirun may start only what trains needs more than one process.
  if (!is_run(word) && word != "verify" && read_launch().rank != 0) return 0;
  if (word == "--help" || word == "-h") {
    print_help(out);
    return 0;
  }
  if (word == "--version") {
    print_version(out);
    return 0;
  }
  return find_verb(word).run(args.subspan(1), out, err);
}

}  // namespace

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = {
      {"init", "[FILE]", "file", "writes a small sweep file to start from", add_init_options, run_init},
      {"plan", "SWEEP", "sweep", "expands and checks a sweep file and says what it will cost; writes nothing",
       add_plan_options, run_plan},
      {"run", "SWEEP", "sweep", "trains what is missing; the same command again goes on", add_run_options, run_run},
      {"resume", "SWEEP", "sweep", "the same as run: what is there is gone on with", add_run_options, run_resume},
      {"submit", "SWEEP", "sweep", "submits what is missing to Slurm as job arrays; returns at once",
       add_submit_options, run_submit},
      {"reconcile", "[OUT]", "place", "asks Slurm what became of submissions whose answer was lost",
       add_reconcile_options, run_reconcile},
      {"cancel", "[OUT]", "place", "cancels the jobs that were submitted from a folder, and no others",
       add_cancel_options, run_cancel},
      {"status", "[OUT]", "place", "what of a sweep is done, running, failed and missing", add_status_options,
       run_status},
      {"show", "ID", "trial", "one trial: its settings, what became of it, the runs that had it in work, its files",
       add_show_options, run_show},
      {"tail", "[SWEEP|OUT]", "sweep", "metrics of trials at work as they come, until all have ended", add_tail_options,
       run_tail},
      {"retry", "[SWEEP|OUT]", "sweep", "clears the marks of trials that failed or were given up after crashes",
       add_retry_options, run_retry},
      {"collect", "[OUT]", "place", "gathers the results into one survey file", add_collect_options, run_collect},
      {"verify", "[OUT|FILE...]", "place",
       "checks digests, completeness and surveys; or trains a trial again and compares", add_verify_options,
       run_verify},
      {"report", "[SURVEY|OUT]", "place", "tables, statistics and plots of a survey", add_report_options, run_report},
      {"forget", "[OUT]", "place", "removes plans that nobody wants any more; shows which before it does",
       add_forget_options, run_forget},
      {"methods", "[NAME]", "name", "the methods of this build, or one with its settings", add_listing_options,
       run_methods},
      {"models", "[NAME]", "name", "the models of this build, or one with its settings", add_listing_options,
       run_models},
      {"datasets", "[NAME]", "name", "the data sets of this build, or one with its settings", add_listing_options,
       run_datasets},
      {"explain", "KEY", "key", "one setting: meaning, type, default, unit, who reads it", add_explain_options,
       run_explain},
      {"bench", "", "", "measures this machine's kernels and training steps", add_bench_options, run_bench},
      {"doctor", "", "", "what this machine and this build have for training, and what is missing", add_doctor_options,
       run_doctor},
      {"help", "[VERB]", "verb", "this list, or the options of a verb", add_help_options, run_help},
      {"completion", "SHELL", "shell", "completion of verbs, options and names for bash or zsh", add_completion_options,
       run_completion},
      {"man", "", "", "the manual page, for man -l", add_man_options, run_man}};
  return all;
}

const Verb& find_verb(const std::string& name) {
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) {
    if (name == verb.name) return verb;
    names.push_back(verb.name);
  }
  fail(ErrorKind::Usage, "unknown verb '{}'{}   (winnow --help lists all)", name, did_you_mean(name, names, "; "));
}

void add_help_options(VerbOptions& options) {
  options.add_options()("verb", boost::program_options::value<std::string>(), "whose options to show");
}

int run_help(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto given = parse_arguments("help", args, out);
  if (!given) return 0;
  if (given->contains("verb")) {
    print_verb_help((*given)["verb"].as<std::string>(), out);
  } else {
    print_help(out);
  }
  return 0;
}

int run_command_line(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const bool is_first_rank = read_launch().rank == 0;
  try {
    const int code = dispatch(args, out, err);
    // Buffered text that found no room must not look like success. A reader that closed its pipe wants no more words.
    errno = 0;
    if (out.flush()) return code;
    if (errno == EPIPE) return static_cast<int>(ErrorKind::Io);
    fail(ErrorKind::Io, "cannot write to standard output");
  } catch (const SweepError& error) {
    // Already complete, with its places.
    if (is_first_rank) err << error.what() << std::endl;
    return static_cast<int>(error.kind());
  } catch (const Error& error) {
    if (is_first_rank || !said_by_first_rank(error.kind())) {
      err << "winnow: error: " << error.what() << std::endl;
    }
    return static_cast<int>(error.kind());
  } catch (const std::filesystem::filesystem_error& error) {
    err << "winnow: error: " << error.path1().string() << ": " << error.code().message() << std::endl;
    return static_cast<int>(ErrorKind::Io);
  } catch (const std::bad_alloc&) {
    err << "winnow: error: out of memory" << std::endl;
    return static_cast<int>(ErrorKind::Unavailable);
  } catch (const DeviceMemoryError& error) {
    err << "winnow: error: " << error.what() << std::endl;
    return static_cast<int>(ErrorKind::Unavailable);
  } catch (const std::exception& error) {
    err << "winnow: error: unexpected: " << error.what() << std::endl;
    return static_cast<int>(ErrorKind::Internal);
  }
}

}  // namespace winnow
