// Where things are in an output directory; docs/formats.md describes every file.
#pragma once

#include <filesystem>
#include <string>

namespace winnow {

class Layout {
 public:
  explicit Layout(std::filesystem::path root) : root_(std::move(root)) {}
  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path plan() const { return root_ / "plan.tsv"; }
  std::filesystem::path plans() const { return root_ / "plans"; }
  std::filesystem::path sweeps() const { return root_ / "sweeps"; }
  std::filesystem::path smoke() const { return root_ / "smoke"; }  // an output directory of its own
  std::filesystem::path index() const { return root_ / "results.index"; }
  std::filesystem::path trials() const { return root_ / "trials"; }
  std::filesystem::path failures() const { return root_ / "failed"; }
  std::filesystem::path running() const { return root_ / "running"; }
  std::filesystem::path checkpoints() const { return root_ / "checkpoints"; }
  std::filesystem::path shards() const { return root_ / "shards"; }
  std::filesystem::path journals() const { return root_ / "journal"; }
  std::filesystem::path submissions() const { return root_ / "slurm"; }
  std::filesystem::path rungs() const { return root_ / "rungs"; }
  std::filesystem::path stopped() const { return root_ / "stopped"; }
  // `name` is TrialSpec::name(): "<id>-r<replicate>".
  std::filesystem::path trial(const std::string& name) const { return root_ / trial_in(name); }
  std::filesystem::path stopped(const std::string& name) const { return root_ / stopped_in(name); }
  std::filesystem::path failure(const std::string& name) const { return failures() / (name + ".json"); }
  std::filesystem::path progress(const std::string& name) const { return running() / (name + ".json"); }
  std::filesystem::path checkpoints(const std::string& name) const { return checkpoints() / name; }
  static std::filesystem::path trial_in(const std::string& name) {
    return std::filesystem::path("trials") / name.substr(0, 2) / (name + ".h5");
  }
  static std::filesystem::path stopped_in(const std::string& name) {
    return std::filesystem::path("stopped") / name.substr(0, 2) / (name + ".h5");
  }

 private:
  std::filesystem::path root_;
};

}  // namespace winnow
