#include "experiments/run/trial_checkpoints.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <set>
#include <sstream>

#include "core/clock.h"
#include "core/error.h"
#include "core/state_bytes.h"
#include "distributed/agree.h"
#include "distributed/host_name.h"
#include "experiments/data/digest.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/provenance.h"
#include "experiments/run/stop_request.h"
#include "experiments/run/trial_setup.h"

namespace winnow {
namespace {

// Prefixes of keys: what rank 0 has, and what a rank has otherwise.
constexpr const char* kAll = "all";
std::string of_rank(int rank) { return fmt::format("rank/{}", rank); }

// The keys and digests of all blocks.
class BlockDigests final : public StateWriter {
 public:
  void put(std::string_view key, const Block& block) override {
    text_ += fmt::format("{} {} {} {}\n", sha256_hex(block.bytes), name_of(block.type), block.shape.text(), key);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Passes on the blocks whose lines `known` has not.
class OtherBlocks final : public StateWriter {
 public:
  OtherBlocks(StateWriter& out, const std::string& known) : out_(out) {
    std::istringstream lines(known);
    for (std::string line; std::getline(lines, line);) known_.insert(line + "\n");
  }
  void put(std::string_view key, const Block& block) override {
    BlockDigests own;
    own.put(key, block);
    if (!known_.contains(own.text())) out_.put(key, block);
  }

 private:
  StateWriter& out_;
  std::set<std::string> known_;
};

// Passes on the blocks below a prefix, without it.
class BlocksBelow final : public StateWriter {
 public:
  BlocksBelow(StateWriter& out, const std::string& prefix) : out_(out), prefix_(prefix + "/") {}
  void put(std::string_view key, const Block& block) override {
    if (key.starts_with(prefix_)) out_.put(key.substr(prefix_.size()), block);
  }

 private:
  StateWriter& out_;
  std::string prefix_;
};

// What went wrong; "": nothing.
std::string write_checkpoint(CheckpointFolder& folder, const CheckpointNote& note, std::vector<std::byte> state) {
  try {
    folder.keep(encode_checkpoint(note, std::move(state)));
    return "";
  } catch (const std::exception& error) {
    return fmt::format("its progress is not saved: {}", reason_of(error));
  }
}

}  // namespace

TrialCheckpoints::TrialCheckpoints(const CheckpointPlace& place, const TrialSpec& spec, Communicator& group,
                                   std::string precision)
    : place_(place),
      spec_(spec),
      group_(group),
      precision_(std::move(precision)),
      every_(static_cast<double>(spec.settings.integer("save.checkpoint.every"))),
      folder_(place.files, place.out, spec.name()),
      kept_(seconds_now()) {
  begin_attempt(0);
}

// Says nothing: it may be on the way out of an error, and what is said may be a message to another rank.
TrialCheckpoints::~TrialCheckpoints() {
  if (write_.valid()) write_.wait();
}

void TrialCheckpoints::begin_attempt(std::int64_t step) {
  attempts_.push_back(fmt::format("{} {} process {}, {} rank{}, {}, from step {}", now_utc(), host_name(), ::getpid(),
                                  group_.size(), group_.size() == 1 ? "" : "s", precision_, step));
}

std::string TrialCheckpoints::unfit(const CheckpointNote& note) const {
  if (note.writer != build_summary()) return fmt::format("was written by {}", note.writer);
  if (note.precision != precision_)
    return fmt::format("is of a computation in {}, this one is in {}", note.precision, precision_);
  if (note.ranks != group_.size() && depends_on_ranks(spec_)) {
    return fmt::format("is of {} ranks, this trial has {} and its batch norm depends on that", note.ranks,
                       group_.size());
  }
  return "";
}

std::optional<Checkpoint> TrialCheckpoints::read_newest() {
  std::vector<std::string> problems;
  std::optional<Checkpoint> found;
  try {
    found = folder_.newest(problems);
  } catch (const Error& error) {
    problems.emplace_back(error.what());
  }
  for (const std::string& problem : problems) place_.say("checkpoint not used: " + problem);
  if (!found) return found;
  if (const std::string why = unfit(found->note); !why.empty()) {
    place_.say(fmt::format("begins again: its checkpoint {}", why));
    return std::nullopt;
  }
  return found;
}

std::optional<MemoryState> TrialCheckpoints::newest() {
  std::vector<std::byte> bytes;
  if (group_.rank() == 0) {
    if (std::optional<Checkpoint> found = read_newest()) {
      attempts_ = found->note.attempts;
      begin_attempt(found->note.step);
      place_.say(fmt::format("goes on from step {}", found->note.step));
      bytes = std::move(found->state);
    }
  }
  share_bytes(group_, bytes, 0);
  if (bytes.empty()) return std::nullopt;
  MemoryState all, own;
  add_blocks(all, bytes, spec_.name());
  BlocksBelow shared(own, kAll), other(own, of_rank(group_.rank()));
  all.copy_to(shared);
  all.copy_to(other);
  return own;
}

void TrialCheckpoints::refuse(const std::string& why) {
  attempts_.clear();
  begin_attempt(0);
  if (group_.rank() == 0) place_.say(fmt::format("begins again: its checkpoint does not fit: {}", why));
}

bool TrialCheckpoints::due() {
  if (write_.valid()) {
    if (write_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return false;
    end_write();
  }
  return every_ > 0 && group_.rank() == 0 && seconds_now() - kept_ >= every_;
}

std::vector<std::byte> TrialCheckpoints::gather(const SaveRun& save) {
  BytesWriter file;
  if (group_.size() == 1) {
    PrefixWriter all(file, kAll);
    save(all);
    return file.take();
  }
  MemoryState own;
  save(own);
  BlockDigests digests;
  if (group_.rank() == 0) {
    own.copy_to(digests);
    PrefixWriter all(file, kAll);
    own.copy_to(all);
  }
  std::string known = digests.text();
  share_text(group_, known, 0);
  for (int rank = 1; rank < group_.size(); ++rank) {
    std::vector<std::byte> bytes;
    if (group_.rank() == rank) {
      BytesWriter message;
      PrefixWriter below(message, of_rank(rank));
      OtherBlocks other(below, known);
      own.copy_to(other);
      bytes = message.take();
    }
    share_bytes(group_, bytes, rank);
    if (group_.rank() != 0) continue;
    MemoryState others;
    add_blocks(others, bytes, spec_.name());
    others.copy_to(file);
  }
  return group_.rank() == 0 ? file.take() : std::vector<std::byte>{};
}

void TrialCheckpoints::keep(const SaveRun& save, std::int64_t step, Wish wish) {
  std::vector<std::byte> state = gather(save);
  kept_ = seconds_now();
  if (group_.rank() != 0) {
    if (place_.saved) place_.saved(step);
    return;
  }
  end_write();
  CheckpointNote note{.trial = spec_.name(),
                      .writer = build_summary(),
                      .precision = precision_,
                      .ranks = group_.size(),
                      .step = step,
                      .attempts = attempts_};
  written_ = step;
  const StopSignalsBlocked blocked;
  write_ = std::async(std::launch::async, write_checkpoint, std::ref(folder_), std::move(note), std::move(state));
  if (wish == Wish::Stop) end_write();
}

void TrialCheckpoints::end_write() {
  if (!write_.valid()) return;
  if (const std::string problem = write_.get(); !problem.empty()) return place_.say(problem);
  if (place_.saved) place_.saved(written_);
}

}  // namespace winnow
