#include "experiments/data/raw_file.h"

#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <system_error>

#include "core/error.h"

namespace winnow {
namespace {

// More than any data set read this way needs; a damaged file cannot ask for more memory than this.
constexpr std::size_t kMostBytes = std::size_t{1} << 31;

struct FileCloser {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

Bytes slurp(const std::filesystem::path& path, const std::string& expected) {
  std::error_code problem;
  if (std::filesystem::is_directory(path, problem)) {
    fail(ErrorKind::Input, "{}: is a folder; expected a file of {}", path.string(), expected);
  }
  const std::unique_ptr<std::FILE, FileCloser> file(std::fopen(path.c_str(), "rb"));
  if (!file) {
    fail(ErrorKind::Input, "{}: cannot be opened: {}; expected a file of {}", path.string(), std::strerror(errno),
         expected);
  }
  const std::uintmax_t size = std::filesystem::file_size(path, problem);
  if (problem || size > kMostBytes) {
    fail(ErrorKind::Input, "{}: is not a data file of reasonable size; expected {}", path.string(), expected);
  }
  Bytes bytes(static_cast<std::size_t>(size));
  if (std::fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) {
    fail(ErrorKind::Input, "{}: reading stopped early: {}; expected {}", path.string(),
         std::ferror(file.get()) ? std::strerror(errno) : "end of file", expected);
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

Bytes inflate_all(const Bytes& packed, const std::filesystem::path& path, const std::string& expected) {
  Inflater inflater;
  z_stream& stream = inflater.stream;
  stream.next_in = const_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  Bytes out(std::max<std::size_t>(packed.size() * 2, 1024));
  std::size_t filled = 0;
  for (;;) {
    stream.next_out = out.data() + filled;
    stream.avail_out = static_cast<uInt>(out.size() - filled);
    const int status = inflate(&stream, Z_NO_FLUSH);
    filled = out.size() - stream.avail_out;
    if (status == Z_STREAM_END) break;
    if (status != Z_OK && status != Z_BUF_ERROR) {
      fail(ErrorKind::Input, "{}: damaged gzip data ({}); expected {}", path.string(),
           stream.msg ? stream.msg : "unreadable", expected);
    }
    if (stream.avail_out > 0) {
      fail(ErrorKind::Input, "{}: truncated gzip data after {} bytes of content; expected {}", path.string(), filled,
           expected);
    }
    if (out.size() >= kMostBytes) {
      fail(ErrorKind::Input, "{}: more than {} bytes of content; expected {}", path.string(), kMostBytes, expected);
    }
    out.resize(std::min(out.size() * 2, kMostBytes));
  }
  if (stream.avail_in > 0) {
    fail(ErrorKind::Input, "{}: {} extra bytes after the gzip data; expected {}", path.string(), stream.avail_in,
         expected);
  }
  out.erase(out.begin() + static_cast<std::ptrdiff_t>(filled), out.end());
  return out;
}

bool is_gzip(const Bytes& bytes) { return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b; }

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
    if (value == nullptr) {
      fail(ErrorKind::Settings, "path '{}': the environment variable {} is not set", text, name);
    }
    // "$DATA/x" would become "/x", and "$DATA" the working directory.
    if (*value == '\0') fail(ErrorKind::Settings, "path '{}': the environment variable {} is empty", text, name);
    out += value;
    at = end + (braced ? 1 : 0);
  }
  return out;
}

Bytes read_data_file(const std::filesystem::path& path, const std::string& expected, Sha256& digest) {
  Bytes bytes = slurp(path, expected);
  digest.update(std::as_bytes(std::span(bytes)));
  return is_gzip(bytes) ? inflate_all(bytes, path, expected) : bytes;
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
