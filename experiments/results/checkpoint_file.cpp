#include "experiments/results/checkpoint_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "experiments/data/digest.h"
#include "experiments/results/container.h"
#include "experiments/results/json_number.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/trial_file.h"

namespace winnow {
namespace {

constexpr const char* kCheckpointSchema = "winnow-checkpoint";
constexpr int kCheckpointVersion = 1;
constexpr const char* kEnding = ".ck";
constexpr const char* kCrashEnding = ".crash";
constexpr const char* kBesideOthers = "beside_others";
// As words in the note, which has a greatest length.
constexpr std::size_t kMostAttempts = 12;

std::vector<std::string> newest_attempts(const std::vector<std::string>& attempts) {
  const std::size_t left_out = attempts.size() - std::min(attempts.size(), kMostAttempts);
  return {attempts.begin() + static_cast<std::ptrdiff_t>(left_out), attempts.end()};
}

bool is_numbered(const std::string& name, const char* ending) {
  const std::filesystem::path path(name);
  const std::string stem = path.stem().string();
  return path.extension() == ending && stem.size() == 8 &&
         std::ranges::all_of(stem, [](char c) { return c >= '0' && c <= '9'; });
}

struct CrashNote {
  std::int64_t step;
  std::string reason;
  CrashOf of;
};
std::optional<CrashNote> crash_in(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto step = json.find("step"), reason = json.find("reason");
  if (step == json.end() || !step->is_number_integer() || reason == json.end() || !reason->is_string()) {
    return std::nullopt;
  }
  const auto beside = json.find(kBesideOthers);
  const bool of_several = beside != json.end() && beside->is_boolean() && beside->get<bool>();
  return CrashNote{step->get<std::int64_t>(), reason->get<std::string>(), of_several ? CrashOf::Several : CrashOf::One};
}

std::string numbered(std::uint64_t number, const char* ending) { return fmt::format("{:08}{}", number, ending); }

}  // namespace

std::vector<std::byte> encode_checkpoint(const CheckpointNote& note, std::vector<std::byte> state) {
  const nlohmann::json json = {{"schema", kCheckpointSchema}, {"schema_version", kCheckpointVersion},
                               {"trial", note.trial},         {"writer", note.writer},
                               {"precision", note.precision}, {"ranks", note.ranks},
                               {"step", note.step},           {"attempts", newest_attempts(note.attempts)},
                               {"sha256", sha256_hex(state)}};
  // A name of bytes that are no UTF-8 is no reason to lose the state.
  return sealed(std::move(state), json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

Checkpoint decode_checkpoint(std::vector<std::byte> bytes, const std::string& label) {
  const Unsealed content = unsealed(bytes);
  if (content.seal != Seal::Whole) fail(ErrorKind::Input, "{}: is damaged or no checkpoint", label);
  Checkpoint checkpoint;
  try {
    const auto json = nlohmann::json::parse(content.note);
    if (json.at("schema") != kCheckpointSchema || json.at("schema_version") != kCheckpointVersion) {
      fail(ErrorKind::Input, "{}: is of another version of winnow", label);
    }
    checkpoint.note = {.trial = json.at("trial"),
                       .writer = json.at("writer"),
                       .precision = json.at("precision"),
                       .ranks = integer_in<int>(json, "ranks"),
                       .step = integer_in(json, "step"),
                       .attempts = json.at("attempts").get<std::vector<std::string>>()};
    if (json.at("sha256") != sha256_hex(content.image)) fail(ErrorKind::Input, "{}: is damaged", label);
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::Input, "{}: is no checkpoint of winnow", label);
  }
  const std::size_t size = content.image.size();
  bytes.resize(size);
  checkpoint.state = std::move(bytes);
  return checkpoint;
}

CheckpointFolder::CheckpointFolder(Files& files, const std::filesystem::path& out, const std::string& trial)
    : files_(files), folder_(Layout(out).checkpoints(trial)), trial_(trial) {}

std::vector<std::string> CheckpointFolder::names(const char* ending) {
  std::vector<std::string> found = files_.list(folder_);
  std::erase_if(found, [&](const std::string& name) { return !is_numbered(name, ending); });
  return found;
}

void CheckpointFolder::keep(std::span<const std::byte> bytes) {
  std::vector<std::string> there = names(kEnding);
  std::uint64_t number = there.empty() ? 1 : std::stoull(there.back()) + 1;
  while (!files_.write_once(folder_ / numbered(number, kEnding), bytes)) ++number;  // another process took it
  try {
    for (std::size_t i = 0; i + kKept <= there.size(); ++i) files_.remove(folder_ / there[i]);
  } catch (const Error&) {  // the new one is on disk all the same, and the next one tries again
  }
}

std::optional<Checkpoint> CheckpointFolder::newest(std::vector<std::string>& problems) {
  std::vector<std::string> there = names(kEnding);
  for (; !there.empty(); there.pop_back()) {
    const std::filesystem::path path = folder_ / there.back();
    try {
      Checkpoint checkpoint = decode_checkpoint(files_.read(path), path.string());
      if (checkpoint.note.trial == trial_) return checkpoint;
      problems.push_back(fmt::format("{}: is a checkpoint of another trial", path.string()));
    } catch (const Error& error) {
      problems.emplace_back(error.what());
    }
  }
  return std::nullopt;
}

std::optional<std::int64_t> CheckpointFolder::newest_step() {
  for (std::vector<std::string> there = names(kEnding); !there.empty(); there.pop_back()) {
    try {
      const Files::End end = files_.read_end(folder_ / there.back(), kNoteReach);
      const auto note = note_of(end.bytes, end.file_size);
      const auto json = nlohmann::json::parse(note.value_or(""), nullptr, false);
      if (json.is_object() && json.value("trial", "") == trial_) return integer_in(json, "step");
    } catch (const nlohmann::json::exception&) {  // the one before may say it
    } catch (const Error&) {                      // removed by now
    }
  }
  return std::nullopt;
}

void CheckpointFolder::clear() {
  for (const std::string& name : names(kEnding)) files_.remove(folder_ / name);
  forget_crashes();
  files_.remove(folder_);
}

std::size_t CheckpointFolder::crashes() {
  const std::vector<std::string> there = names(kCrashEnding);
  return there.empty() ? 0 : std::stoull(there.back());
}

std::filesystem::path CheckpointFolder::crash_path(std::size_t number) const {
  return folder_ / numbered(number, kCrashEnding);
}

void CheckpointFolder::forget_crashes() {
  for (const std::string& name : names(kCrashEnding)) files_.remove(folder_ / name);
}

void CheckpointFolder::note_crash(std::size_t number, const std::string& reason, CrashOf of) {
  const std::string text = crash_text(newest_step().value_or(0), reason, of, now_utc());
  files_.write_once(crash_path(number), std::as_bytes(std::span(text)));
}

std::optional<std::string> CheckpointFolder::given_up() {
  const std::vector<std::string> there = names(kCrashEnding);
  const std::int64_t step = newest_step().value_or(0);
  std::size_t in_vain = 0;
  std::string last;
  for (const std::string& name : there) {
    const auto crash = crash_in(read_text(files_, folder_ / name));
    if (!crash || crash->of == CrashOf::Several || crash->step != step) continue;
    last = crash->reason;
    ++in_vain;
  }
  if (in_vain < kMostCrashes) return std::nullopt;
  return fmt::format("given up after {} crashes {}, the last one: {}", in_vain,
                     step == 0 ? "before anything was saved" : fmt::format("after step {} was saved", step), last);
}

std::vector<std::filesystem::path> CheckpointFolder::damaged_crashes() {
  std::vector<std::filesystem::path> found;
  for (const std::string& name : names(kCrashEnding)) {
    try {
      if (!crash_in(read_text(files_, folder_ / name))) found.push_back(folder_ / name);
    } catch (const Error&) {
      if (files_.exists(folder_ / name)) throw;  // else it was removed by now: the trial has a result
    }
  }
  return found;
}

std::string crash_text(std::int64_t step, const std::string& reason, CrashOf of, const std::string& time) {
  nlohmann::json json = {{"step", step}, {"reason", reason}};
  if (of == CrashOf::Several) json[kBesideOthers] = true;
  if (!time.empty()) json["time"] = time;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void clear_checkpoints(Files& files, const std::filesystem::path& out, const std::string& trial) noexcept {
  try {
    CheckpointFolder(files, out, trial).clear();
  } catch (const std::exception&) {  // of no use any more, and in nobody's way
  }
}

std::map<std::string, std::int64_t> saved_steps(Files& files, const std::filesystem::path& out) {
  std::map<std::string, std::int64_t> steps;
  for (const std::string& trial : files.list(Layout(out).checkpoints())) {
    if (!is_trial_name(trial)) continue;
    if (const auto step = CheckpointFolder(files, out, trial).newest_step()) steps.emplace(trial, *step);
  }
  return steps;
}

void clear_old_checkpoints(Files& files, const std::filesystem::path& out) {
  const Layout layout(out);
  for (const std::string& trial : files.list(layout.checkpoints())) {
    if (!is_trial_name(trial)) continue;
    files.clear_leftovers(layout.checkpoints(trial));
    if (files.exists(layout.trial(trial))) clear_checkpoints(files, out, trial);
  }
}

}  // namespace winnow
