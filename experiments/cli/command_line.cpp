#include <fmt/format.h>
#include <hdf5.h>
// Only the C interface; the C++ one is deprecated and does not compile without warnings.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <ostream>
#include <string_view>

#include "core/error.h"
#include "core/settings.h"
#include "experiments/cli/verbs.h"
#include "experiments/run/provenance.h"
#include "experiments/sweep/diagnostics.h"

namespace winnow {
namespace {

void print_help(std::ostream& out) {
  out << "winnow runs sweeps over network-compression methods\n\n"
         "winnow VERB [arguments]      winnow VERB --help shows its options\n\n";
  for (const Verb& verb : verbs()) out << fmt::format("  {:<10} {}\n", verb.name, verb.meaning);
  out << "\nmpirun -n RANKS winnow run SWEEP trains several trials at a time\n";
}

void print_version(std::ostream& out) {
  char library[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(library, &length);  // allowed before MPI_Init
  const std::string_view text(library, static_cast<std::size_t>(length));
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  out << build_summary() << "\n"
      << text.substr(0, text.find_first_of(",\n")) << "\n"
      << fmt::format("HDF5 {}.{}.{}\n", major, minor, release);
}

// The rank that the launcher gave this process; known before MPI starts.
bool is_first_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"}) {
    if (const char* rank = std::getenv(name)) return std::string_view(rank) == "0";
  }
  return true;
}

// Every rank finds the same mistake of the user; one says so.
bool said_by_first_rank(ErrorKind kind) {
  return kind == ErrorKind::Usage || kind == ErrorKind::Settings || kind == ErrorKind::Input;
}

int dispatch(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  if (args.empty()) {
    print_help(err);
    return static_cast<int>(ErrorKind::Usage);
  }
  const std::string& word = args.front();
  if (word == "--help" || word == "-h" || word == "help") {
    print_help(out);
    return 0;
  }
  if (word == "--version") {
    print_version(out);
    return 0;
  }
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) {
    if (word == verb.name) return verb.run(args.subspan(1), out, err);
    names.push_back(verb.name);
  }
  const auto near = nearest(word, names);
  fail(ErrorKind::Usage, "unknown verb '{}'{}   (winnow --help lists all)", word,
       near ? fmt::format("; did you mean '{}'?", *near) : "");
}

}  // namespace

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = {
      {"plan", "expands and checks a sweep file and says what it will cost; writes nothing", run_plan},
      {"run", "trains what is missing; the same command again goes on", run_run},
      {"status", "what of a sweep is done, running, failed and missing", run_status},
      {"collect", "gathers the results into one survey file", run_collect},
      {"report", "tables and statistics of a survey", run_report},
      {"methods", "the methods of this build, or one with its settings", run_methods},
      {"models", "the models of this build, or one with its settings", run_models},
      {"datasets", "the data sets of this build, or one with its settings", run_datasets},
      {"explain", "one setting: meaning, type, default, unit, who reads it", run_explain},
      {"bench", "measures this machine's kernels and training steps", run_bench}};
  return all;
}

int run_command_line(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  try {
    const int code = dispatch(args, out, err);
    // Buffered text that found no room must not look like success.
    if (!out.flush()) fail(ErrorKind::Io, "cannot write to standard output");
    return code;
  } catch (const SweepError& error) {
    // Already complete, with its places.
    if (is_first_rank()) err << error.what() << std::endl;
    return static_cast<int>(error.kind());
  } catch (const Error& error) {
    if (is_first_rank() || !said_by_first_rank(error.kind())) {
      err << "winnow: error: " << error.what() << std::endl;
    }
    return static_cast<int>(error.kind());
  } catch (const std::filesystem::filesystem_error& error) {
    err << "winnow: error: " << error.path1().string() << ": " << error.code().message() << std::endl;
    return static_cast<int>(ErrorKind::Io);
  } catch (const std::bad_alloc&) {
    err << "winnow: error: out of memory" << std::endl;
    return static_cast<int>(ErrorKind::Unavailable);
  } catch (const std::exception& error) {
    err << "winnow: error: unexpected: " << error.what() << std::endl;
    return static_cast<int>(ErrorKind::Internal);
  }
}

}  // namespace winnow
