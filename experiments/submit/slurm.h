// What winnow asks of Slurm and tells it, through its commands on the PATH: each with a time limit, none through a shell, and
// one call for all jobs at once. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace winnow {

// One task of an array, or a job without tasks.
struct SlurmTask {
  std::int64_t job = 0;  // of the whole array
  int index = 0;         // in it
  std::string state;     // PENDING, RUNNING, ...
  std::string name;
  std::int64_t user = 0;   // whose it is; sacct is not asked for it
  std::string nodes = {};  // where it ran: n1, or n[1-3]; sacct alone says it
  bool is_over() const;    // it will not run again by itself; a state that we do not know is not over
};

// Nothing where Slurm does not say.
struct SlurmLimits {
  std::optional<std::int64_t> array_size;   // the largest index of an array is one less
  std::optional<std::int64_t> array_tasks;  // of one array
  std::optional<std::int64_t> jobs;         // of one user at a time; each task of an array is one
};

struct SlurmUser {
  std::int64_t id = 0;
  std::string name;
};
SlurmUser this_user();

class Slurm {
 public:
  enum class Whose { Own, Everyones };
  struct Patience {
    std::chrono::milliseconds submit{120'000}, ask{60'000};
  };
  Slurm() = default;
  explicit Slurm(Patience patience) : patience_(patience) {}

  // Lost: nobody knows whether there is a job now.
  struct Answer {
    enum class Kind { Submitted, Refused, Lost } kind = Kind::Lost;
    std::int64_t job = 0;
    std::string said;  // where it was not submitted
  };
  // `without`: variables that would win over the script. Error{Site}: there is no sbatch.
  Answer submit(const std::filesystem::path& script, const std::string& job_name, const std::set<std::string>& without);

  // All jobs that Slurm still knows and shows to this user, those of the last minutes that are over among them.
  // Error{Unavailable}.
  std::vector<SlurmTask> queue(Whose whose = Whose::Own);
  // All jobs that were there after `since` (Unix seconds), and each start of one that was requeued; nothing where no accounts are
  // kept.
  std::optional<std::vector<SlurmTask>> accounted(std::int64_t since, Whose whose = Whose::Own);
  // Whether it shows jobs of others to this user; not where it does not say so.
  bool shows_others();
  SlurmLimits limits(const std::string& account);
  // Whether a job of it (empty: of the default one) that is preempted ends at once, for good: by PreemptMode=CANCEL without GraceTime.
  // Not where Slurm does not say so.
  bool cancels_preempted(const std::string& partition);
  bool starts_pmix();                               // srun connects processes by PMIx
  void cancel(std::span<const std::int64_t> jobs);  // Error{Unavailable}

 private:
  Patience patience_;
};

}  // namespace winnow
