#include "experiments/data/raw_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>
#include <system_error>

#include "core/error.h"

namespace winnow {
namespace {

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

// What stands in the place of a file, or nothing if it is one.
const char* not_a_file(mode_t mode) {
  if (S_ISREG(mode)) return nullptr;
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a named pipe";
  return S_ISSOCK(mode) ? "a socket" : "a device";
}

Bytes slurp(const std::filesystem::path& path, const std::string& expected, std::size_t most) {
  const auto check_kind = [&](const struct stat& status) {
    if (const char* kind = not_a_file(status.st_mode)) {
      fail(ErrorKind::Input, "{}: is {}; expected a file of {}", path.string(), kind, expected);
    }
  };
  // Looked at before and after it is opened: to open a device may already act on it, and what lies there may
  // have changed. O_NONBLOCK, so that a pipe without a writer is not waited for.
  struct stat status {};
  if (stat(path.c_str(), &status) == 0) check_kind(status);
  const Descriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0 || fstat(file.get(), &status) != 0) {
    fail(ErrorKind::Input, "{}: cannot be opened: {}; expected a file of {}", path.string(), std::strerror(errno),
         expected);
  }
  check_kind(status);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > most) {
    fail(ErrorKind::Input, "{}: has {} bytes, more than the {} that are read at most; expected {}", path.string(), size,
         most, expected);
  }
  Bytes bytes(size);
  for (std::size_t filled = 0; filled < size;) {
    const ssize_t got = ::read(file.get(), bytes.data() + filled, size - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      fail(ErrorKind::Input, "{}: reading stopped early: {}; expected {}", path.string(),
           got < 0 ? std::strerror(errno) : "end of file", expected);
    }
    filled += static_cast<std::size_t>(got);
  }
  return bytes;
}

struct Inflater {
  z_stream stream{};
  Inflater() {
    constexpr int kGzipOnly = 16;
    if (inflateInit2(&stream, MAX_WBITS + kGzipOnly) != Z_OK) {
      fail(ErrorKind::Internal, "zlib could not be started");
    }
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

bool is_gzip(std::span<const std::uint8_t> bytes) { return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b; }

// All members of a gzip file, one after the other: that is one file too (RFC 1952, 2.2). Zeros after the last one, which fill
// the blocks of tapes and some file systems, are no damage; gunzip leaves them out as well.
Bytes inflate_all(const Bytes& packed, const std::filesystem::path& path, const std::string& expected,
                  std::size_t most) {
  Inflater inflater;
  z_stream& stream = inflater.stream;
  stream.next_in = const_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  Bytes out(std::min(std::max<std::size_t>(packed.size() * 2, 1024), most + 1));
  std::size_t filled = 0;
  for (;;) {
    stream.next_out = out.data() + filled;
    stream.avail_out = static_cast<uInt>(out.size() - filled);
    const int status = inflate(&stream, Z_NO_FLUSH);
    filled = out.size() - stream.avail_out;
    if (filled > most) {
      fail(ErrorKind::Input, "{}: more than {} bytes of content; expected {}", path.string(), most, expected);
    }
    if (status == Z_STREAM_END) {
      if (!is_gzip({stream.next_in, stream.avail_in})) break;
      inflateReset(&stream);
      continue;
    }
    if (status != Z_OK && status != Z_BUF_ERROR) {
      fail(ErrorKind::Input, "{}: damaged gzip data ({}); expected {}", path.string(),
           stream.msg ? stream.msg : "unreadable", expected);
    }
    if (stream.avail_out > 0) {
      fail(ErrorKind::Input, "{}: truncated gzip data after {} bytes of content; expected {}", path.string(), filled,
           expected);
    }
    out.resize(std::min(out.size() * 2, most + 1));
  }
  const std::span<const std::uint8_t> rest(stream.next_in, stream.avail_in);
  if (std::ranges::any_of(rest, [](std::uint8_t byte) { return byte != 0; })) {
    fail(ErrorKind::Input, "{}: {} extra bytes after the gzip data; expected {}", path.string(), rest.size(), expected);
  }
  out.erase(out.begin() + static_cast<std::ptrdiff_t>(filled), out.end());
  return out;
}

// Does the content have this digest, SHA-1 or SHA-256 by its length?
bool has_digest(const Bytes& bytes, const std::string& hex) {
  constexpr std::size_t kSha1Digits = 40;
  const auto content = std::as_bytes(std::span(bytes));
  return (hex.size() == kSha1Digits ? sha1_hex(content) : sha256_hex(content)) == hex;
}

}  // namespace

std::filesystem::path expand_path(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '$') {
      out += text[at++];
      continue;
    }
    const bool braced = at + 1 < text.size() && text[at + 1] == '{';
    const std::size_t start = at + (braced ? 2 : 1);
    std::size_t end = start;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_')) {
      ++end;
    }
    if (end == start || (braced && (end == text.size() || text[end] != '}'))) {
      fail(ErrorKind::Settings, "path '{}': '$' must be followed by NAME or {{NAME}}", text);
    }
    const std::string name = text.substr(start, end - start);
    const char* value = std::getenv(name.c_str());
    // The text is right and the machine is not what it expects: as with a missing file. An empty variable counts as well:
    // "$DATA/x" would become "/x", and "$DATA" the working directory.
    if (value == nullptr || *value == '\0') {
      fail(ErrorKind::Input, "path '{}': the environment variable {} is {}", text, name,
           value == nullptr ? "not set" : "empty");
    }
    out += value;
    at = end + (braced ? 1 : 0);
  }
  return out;
}

Bytes DataReader::read(const std::filesystem::path& path, const std::string& expected, std::size_t most) {
  // Packed data may be a little longer than what it holds, as in a file of many small members.
  Bytes bytes = slurp(path, expected, 2 * most + 4096);
  if (is_gzip(bytes)) {
    bytes = inflate_all(bytes, path, expected, most);
  } else if (bytes.size() > most) {
    fail(ErrorKind::Input, "{}: has {} bytes, more than the {} that are read at most; expected {}", path.string(),
         bytes.size(), most, expected);
  }
  digest_.update(std::as_bytes(std::span(bytes)));
  const std::size_t at = next_++;
  if (at < published_.size() && !has_digest(bytes, published_[at])) changed_.push_back(path);
  return bytes;
}

std::string fingerprint(const std::vector<std::filesystem::path>& files) {
  std::string text;
  for (const std::filesystem::path& file : files) {
    std::error_code problem;
    const std::uintmax_t size = std::filesystem::file_size(file, problem);
    const auto changed = std::filesystem::last_write_time(file, problem).time_since_epoch().count();
    text +=
        problem ? fmt::format("{}|missing\n", file.string()) : fmt::format("{}|{}|{}\n", file.string(), size, changed);
  }
  return text;
}

}  // namespace winnow
