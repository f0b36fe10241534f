// A Slurm of small scripts on the PATH, which keeps its jobs in a file: what is submitted waits for ever. Files in its folder make
// it fail in one way or another. Header only; restores the PATH.
#pragma once

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"

namespace winnow::test {

class FakeSlurm {
 public:
  FakeSlurm() : path_before_(std::getenv("PATH")) {
    // `answer` says what sbatch does: lost (it submits, and its words are garbled), broken (it submits, and says that the talk
    // timed out), refused, never (it does nothing, garbled), slow (it submits, and does not end).
    script("sbatch", R"(
how=$(cat answer 2>/dev/null)
for word; do file=$word; case $word in --job-name=*) name=${word#--job-name=};; esac; done
[ "$how" = refused ] && { echo "sbatch: error: invalid partition specified: nowhere" >&2; exit 1; }
[ "$how" = never ] && { echo "?"; exit 0; }
id=$(($(cat last 2>/dev/null || echo 100) + 1)); echo $id > last
case $file in /*) ;; *) file=$cwd/$file;; esac
array=$(sed -n 's/^#SBATCH --array=//p' "$file")
for part in $(echo "${array%\%*}" | tr , ' '); do
  for index in $(seq "${part%-*}" "${part#*-}"); do echo "$id|$index|PENDING|$name" >> jobs; done
done
env | sed -n 's/^\(SBATCH_[A-Z_]*\)=.*/\1/p' >> inherited
[ "$how" = lost ] && { echo "xx"; exit 0; }
[ "$how" = broken ] && { echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1; }
[ "$how" = slow ] && exec sleep 60
echo "$id;test")");
    // `owner.<job>` has the id of its user, where that is another one; who is asked for is in `squeue.asked`. With `private`
    // jobs of others are shown to nobody, as PrivateData has it for users. `odd`: somebody's job has a name of two lines; `cut`: the
    // answer ends in the middle.
    script("squeue", R"(
[ -f away ] && { echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1; }
[ -f blind ] || [ -n "$SQUEUE_PARTITION" ] && exit 0
own=$(id -u)
for word; do case $word in --user=*) users=${word#--user=};; esac; done
[ -f jobs ] && while IFS='|' read -r id index state name; do
  user=$own
  [ -f "owner.$id" ] && user=$(cat "owner.$id")
  [ -f private ] && [ "$user" != "$own" ] && continue
  case ",$users," in ,, | *",$user,"*) echo "$id|$index|$state|$user|$name|end";; esac
done < jobs
[ -f odd ] && [ -z "$users" ] && printf '77|N/A|PENDING|4242|two\nlines|or|more|end\n'
[ -f cut ] && printf '78|N/A|PEND'
exit 0)");
    script("sacct", "[ -f accounts ] || { echo 'Slurm accounting storage is disabled' >&2; exit 1; }; cat accounts");
    // `partitions` has what is said of them.
    script("scontrol",
           "case $* in *partition) exec cat partitions;; esac\n"
           "echo \"MaxArraySize            = $(cat max_array_size 2>/dev/null || echo 1001)\"\n"
           "echo \"PrivateData             = $([ -f private ] && echo jobs,usage || echo none)\"");
    script("sacctmgr", "[ -f max_submit ] || exit 1; echo \"$(cat max_submit)|\"");
    script("srun", "printf 'MPI plugin types are...\\n\\t%s\\n' \"$(cat mpi 2>/dev/null || echo pmix)\"");
    script("scancel", "echo \"$@\" >> cancelled; [ ! -f away ]");
    ::setenv("PATH", (folder_.path().string() + ":" + path_before_).c_str(), 1);
  }
  ~FakeSlurm() { ::setenv("PATH", path_before_.c_str(), 1); }
  FakeSlurm(const FakeSlurm&) = delete;
  FakeSlurm& operator=(const FakeSlurm&) = delete;

  void set(const std::string& file, const std::string& text) const { std::ofstream(folder_.path() / file) << text; }
  void forget(const std::string& file) const { std::filesystem::remove(folder_.path() / file); }
  std::vector<std::string> lines(const std::string& file) const {
    std::ifstream stream(folder_.path() / file);
    std::vector<std::string> all;
    for (std::string line; std::getline(stream, line);) all.push_back(line);
    return all;
  }
  std::size_t tasks() const { return lines("jobs").size(); }
  // All tasks get this state.
  void all_become(const std::string& state) const {
    std::string text;
    for (std::string line : lines("jobs")) {
      const std::size_t at = line.find('|', line.find('|') + 1) + 1;
      text += line.replace(at, line.find('|', at) - at, state) + "\n";
    }
    set("jobs", text);
  }

 private:
  void script(const std::string& name, const std::string& body) const {
    const auto path = folder_.path() / name;
    std::ofstream(path) << "#!/bin/sh\ncwd=$PWD\ncd '" << folder_.path().string() << "'\n" << body << "\n";
    ::chmod(path.c_str(), 0755);
  }

  TemporaryFolder folder_;
  std::string path_before_;
};

}  // namespace winnow::test
