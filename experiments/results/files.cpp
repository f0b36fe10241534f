#include "experiments/results/files.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/error.h"

namespace winnow {
namespace {

constexpr std::string_view kTemporary = ".tmp.";
constexpr std::size_t kRandomDigits = 32;

std::filesystem::path temporary_name(const std::filesystem::path& path) {
  std::array<std::uint64_t, 2> random{};
  if (::getrandom(random.data(), sizeof random, 0) != sizeof random) {
    fail(ErrorKind::Unavailable, "the system gives no random numbers for the name of a temporary file");
  }
  return path.string() + fmt::format("{}{:016x}{:016x}", kTemporary, random[0], random[1]);
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  const auto folder = path.parent_path();
  return folder.empty() ? std::filesystem::path(".") : folder;
}

}  // namespace

std::string text_of(std::span<const std::byte> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::vector<std::byte> read_at_most(Files& files, const std::filesystem::path& path, std::size_t most) {
  Files::End end = files.read_end(path, most + 1);
  if (end.file_size > most) {
    fail(ErrorKind::Input, "{}: its {} bytes are more than any file has that winnow writes under such a name",
         path.string(), end.file_size);
  }
  return std::move(end.bytes);
}

std::string read_text(Files& files, const std::filesystem::path& path, std::size_t most) {
  return text_of(read_at_most(files, path, most));
}

bool is_temporary(std::string_view name) { return name.find(kTemporary) != std::string_view::npos; }

std::vector<std::string> Files::list(const Path& folder) {
  auto all = names(folder);
  std::erase_if(all, is_temporary);
  std::sort(all.begin(), all.end());
  return all;
}

bool Files::is_folder(const Path& path) {
  const auto found = stamp(path);
  return found && found->is_folder;
}

void Files::discard(const Path& temporary) noexcept {
  try {
    remove(temporary);
  } catch (...) {  // the first error is the one worth reporting
  }
}

Files::Path Files::write_temporary(const Path& path, Bytes bytes, Manner manner) {
  const Path temporary = temporary_name(path);
  const int file = open(temporary, manner.read_only ? Open::NewReadOnly : Open::New).value();
  try {
    finish(file, temporary, bytes, manner);
  } catch (...) {
    discard(temporary);
    throw;
  }
  return temporary;
}

void Files::close_quietly(int file, const Path& path) noexcept {
  try {
    close(file, path);
  } catch (...) {  // the first error is the one worth reporting, and what had to be on disk was synced
  }
}

// Ends what is written to an open file, and closes it in any case.
void Files::finish(int file, const Path& temporary, Bytes bytes, Manner manner) {
  try {
    write(file, bytes, temporary);
    if (manner.synced) sync(file, temporary);
  } catch (...) {
    close_quietly(file, temporary);
    throw;
  }
  close(file, temporary);
}

Files::Draft::Draft(Files& files, Path to)
    : files_(files),
      to_(std::move(to)),
      place_(files.write_temporary(to_, {}, {.read_only = false, .synced = false})) {}

Files::Draft::~Draft() {
  if (!published_) files_.discard(place_);
}

void Files::Draft::publish(Bytes end) {
  const int file = files_.open(place_, Open::Append).value();
  try {
    files_.make_read_only(file, place_);
  } catch (...) {
    files_.close_quietly(file, place_);
    throw;
  }
  files_.finish(file, place_, end, {.read_only = true, .synced = true});
  files_.rename(place_, to_);
  published_ = true;
  files_.sync_folder(folder_of(to_));
}

Files::Made Files::make_unnamed(const Path& path, Bytes bytes) {
  const auto file = open(path, Open::Unnamed);
  if (!file) return Made::Unsupported;
  Made made = Made::Unsupported;
  try {
    write(*file, bytes, path);
    sync(*file, path);
    made = link(*file, path);
  } catch (...) {
    close_quietly(*file, path);
    throw;
  }
  close(*file, path);
  return made;
}

// Tries the ways in turn; one that the file system does not have is not tried again.
Files::Made Files::make(const Path& path, Bytes bytes) {
  if (way_ == Way::Unnamed) {
    const Made made = make_unnamed(path, bytes);
    if (made != Made::Unsupported) return made;
    way_ = Way::Link;
  }
  const Path temporary = write_temporary(path, bytes, {.read_only = true, .synced = true});
  Made made = Made::Unsupported;
  bool moved = false;
  try {
    if (way_ == Way::Link) {
      made = link(temporary, path);
      if (made == Made::Unsupported) way_ = Way::Rename;
    }
    if (way_ == Way::Rename) {
      made = rename_new(temporary, path);
      if (made == Made::Unsupported) way_ = Way::None;
      moved = made == Made::Yes;
    }
  } catch (...) {
    discard(temporary);
    throw;
  }
  if (!moved) discard(temporary);  // what has its name is there, whatever becomes of this one
  return made;
}

bool Files::write_once(const Path& path, Bytes bytes) {
  if (exists(path)) return false;
  const Made made = make(path, bytes);
  if (made == Made::Unsupported) {
    fail(ErrorKind::Site,
         "{}: its file system has neither hard links nor renameat2(RENAME_NOREPLACE), so a result could overwrite "
         "another; choose an output directory elsewhere",
         folder_of(path).string());
  }
  if (made == Made::Yes) sync_folder(folder_of(path));
  return made == Made::Yes;
}

void Files::replace(const Path& path, Bytes bytes, Manner manner) {
  const Path temporary = write_temporary(path, bytes, manner);
  try {
    rename(temporary, path);
  } catch (...) {
    discard(temporary);
    throw;
  }
  if (manner.synced) sync_folder(folder_of(path));
}

void Files::replace(const Path& path, std::string_view text, Manner manner) {
  replace(path, std::as_bytes(std::span(text.data(), text.size())), manner);
}

std::unique_ptr<Files::Growing> Files::grow(const Path& path) {
  if (exists(path)) return nullptr;
  std::unique_ptr<Growing> file;
  try {
    file = std::make_unique<Growing>(*this, open(path, Open::New).value(), path);
  } catch (const Error&) {
    if (exists(path)) return nullptr;  // another process was faster
    throw;
  }
  sync_folder(folder_of(path));
  return file;
}

Files::Growing::~Growing() { files_.close_quietly(file_, path_); }

void Files::check_publishing(const Path& folder) {
  make_folders(folder);
  const Path probe = temporary_name(folder / "probe");
  write_once(probe, std::as_bytes(std::span("winnow", 6)));
  remove(probe);
}

void Files::clear_leftovers(const Path& folder) { clear(folder, is_temporary); }

void Files::clear_leftovers_of(const Path& file) {
  const std::string begin = file.filename().string() + std::string(kTemporary);
  try {
    clear(std::filesystem::absolute(file).parent_path(), [&](std::string_view name) {
      return name.starts_with(begin) && name.size() == begin.size() + kRandomDigits;
    });
  } catch (const Error&) {
  }
}

void Files::clear(const Path& folder, const std::function<bool(std::string_view name)>& is_leftover) {
  std::vector<std::string> leftovers = names(folder);
  std::erase_if(leftovers, [&](const std::string& name) { return !is_leftover(name); });
  if (leftovers.empty()) return;
  const Path clock = write_temporary(folder / "clock", {}, {.read_only = false, .synced = false});
  const auto now = stamp(clock);
  remove(clock);
  for (const std::string& name : leftovers) {
    const auto found = stamp(folder / name);
    if (now && found && !found->is_folder && now->modified - found->modified > kDeadAfter * 1'000'000'000) {
      remove(folder / name);
    }
  }
}

}  // namespace winnow
