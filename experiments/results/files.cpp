#include "experiments/results/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <memory>
#include <system_error>

#include "core/error.h"

namespace winnow {
namespace {

[[noreturn]] void io_error(const std::filesystem::path& path, const char* verb, int code) {
  const auto kind = code == ENOENT && std::string_view(verb) == "read" ? ErrorKind::Input : ErrorKind::Io;
  fail(kind, "{}: cannot {}: {}", path.string(), verb, std::generic_category().message(code));
}

std::filesystem::path temporary_name(const std::filesystem::path& path) {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = 'x';
  return path.string() + ".tmp." + host.data() + "." + std::to_string(::getpid());
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  const auto folder = path.parent_path();
  return folder.empty() ? std::filesystem::path(".") : folder;
}

}  // namespace

std::string text_of(std::span<const std::byte> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

bool is_temporary(std::string_view name) { return name.find(".tmp.") != std::string_view::npos; }

void Files::discard(const Path& temporary) noexcept {
  try {
    remove(temporary);
  } catch (...) {  // the first error is the one worth reporting
  }
}

Files::Path Files::write_temporary(const Path& path, Bytes bytes) {
  make_folders(folder_of(path));
  const Path temporary = temporary_name(path);
  remove(temporary);  // left by an earlier process with the same number
  const int file = open(temporary, Open::New);
  try {
    write(file, bytes, temporary);
    sync(file, temporary);
  } catch (...) {
    try {
      close(file, temporary);
    } catch (...) {
    }
    discard(temporary);
    throw;
  }
  close(file, temporary);
  return temporary;
}

bool Files::write_once(const Path& path, Bytes bytes) {
  if (exists(path)) return false;
  const Path temporary = write_temporary(path, bytes);
  bool made = false;
  try {
    made = link(temporary, path);
  } catch (...) {
    discard(temporary);
    throw;
  }
  remove(temporary);
  sync_folder(folder_of(path));
  return made;
}

void Files::replace(const Path& path, Bytes bytes) {
  const Path temporary = write_temporary(path, bytes);
  try {
    rename(temporary, path);
  } catch (...) {
    discard(temporary);
    throw;
  }
  sync_folder(folder_of(path));
}

void Files::replace(const Path& path, std::string_view text) {
  replace(path, std::as_bytes(std::span(text.data(), text.size())));
}

void Files::append_synced(const Path& path, std::string_view line) {
  make_folders(folder_of(path));
  const int file = open(path, Open::Append);
  try {
    write(file, std::as_bytes(std::span(line.data(), line.size())), path);
    sync(file, path);
  } catch (...) {
    try {
      close(file, path);
    } catch (...) {
    }
    throw;
  }
  close(file, path);
}

std::vector<std::byte> PosixFiles::read(const Path& path) {
  return read_end(path, std::numeric_limits<std::size_t>::max()).bytes;
}

Files::End PosixFiles::read_end(const Path& path, std::size_t count) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) io_error(path, "read", errno);
  const std::unique_ptr<const int, void (*)(const int*)> closing(&file, [](const int* f) { ::close(*f); });
  struct stat about {};
  if (::fstat(file, &about) != 0) io_error(path, "read", errno);
  End end;
  end.file_size = static_cast<std::uint64_t>(about.st_size);
  end.bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(count, end.file_size)));
  const std::uint64_t first = end.file_size - end.bytes.size();
  for (std::size_t done = 0; done < end.bytes.size();) {
    const ssize_t got =
        ::pread(file, end.bytes.data() + done, end.bytes.size() - done, static_cast<off_t>(first + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) io_error(path, "read", errno);
    if (got == 0) end.bytes.resize(done);  // it became shorter while we read
    done += static_cast<std::size_t>(got);
  }
  return end;
}

std::vector<std::string> PosixFiles::list(const Path& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> handle(::opendir(folder.c_str()), ::closedir);
  if (!handle) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    io_error(folder, "list", errno);
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(handle.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && !is_temporary(name)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool PosixFiles::exists(const Path& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  io_error(path, "read", errno);
}

void PosixFiles::remove(const Path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) io_error(path, "remove", errno);
}

void PosixFiles::make_folders(const Path& folder) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code) io_error(folder, "create", code.value());
}

int PosixFiles::open(const Path& path, Open how) {
  const int flags = how == Open::New ? O_CREAT | O_EXCL | O_WRONLY : O_CREAT | O_APPEND | O_WRONLY;
  const int file = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  if (file < 0) io_error(path, "create", errno);
  return file;
}

void PosixFiles::write(int file, Bytes bytes, const Path& path) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(file, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) io_error(path, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
}

void PosixFiles::sync(int file, const Path& path) {
  if (::fsync(file) != 0) io_error(path, "save", errno);
}

void PosixFiles::close(int file, const Path& path) {
  if (::close(file) != 0) io_error(path, "close", errno);
}

bool PosixFiles::link(const Path& from, const Path& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return true;
  if (errno == EEXIST) return false;
  io_error(to, "create", errno);
}

void PosixFiles::rename(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) io_error(to, "replace", errno);
}

void PosixFiles::sync_folder(const Path& folder) {
  const int handle = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle < 0) io_error(folder, "save", errno);
  // Some file systems refuse to sync a folder; its entries are then as safe as they can be.
  const int code = ::fsync(handle) == 0 ? 0 : errno;
  ::close(handle);
  if (code != 0 && code != EINVAL && code != ENOTSUP) io_error(folder, "save", code);
}

}  // namespace winnow
