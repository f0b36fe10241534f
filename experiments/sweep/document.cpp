#include "experiments/sweep/document.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include "core/settings.h"
#include "experiments/sweep/hints.h"
#include "experiments/sweep/sweep.h"

namespace winnow {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = 64u << 20;
const std::vector<std::string> kSections = {"sweep", "schema", "extends", "trial", "define",
                                            "axes",  "pair",   "exclude", "stop",  "save"};

constexpr std::size_t kMostFiles = 256;

bool is_standard_input(const fs::path& path) { return path == "-"; }

// Whether it can be read but once, and its name says nothing: standard input, a pipe.
bool is_stream(const fs::path& path) {
  std::error_code error;
  return is_standard_input(path) || fs::is_fifo(path, error) || fs::is_character_file(path, error);
}

std::string read_text(const fs::path& path) {
  std::error_code error;
  if (!is_stream(path)) {
    if (fs::is_directory(path, error)) fail(ErrorKind::Input, "cannot read '{}': it is a folder", path.string());
    if (!fs::is_regular_file(path, error)) fail(ErrorKind::Input, "cannot read '{}': no such file", path.string());
  }
  std::ifstream file;
  if (!is_standard_input(path)) file.open(path, std::ios::binary);
  std::istream& stream = is_standard_input(path) ? std::cin : file;
  if (!stream) fail(ErrorKind::Input, "cannot read '{}': {}", path.string(), std::strerror(errno));
  // Not by its size: a pipe has none, and a file may grow.
  std::string text;
  errno = 0;
  std::vector<char> block(1u << 16);
  while (stream.read(block.data(), static_cast<std::streamsize>(block.size())) || stream.gcount() > 0) {
    text.append(block.data(), static_cast<std::size_t>(stream.gcount()));
    if (text.size() > kMostBytes) {
      fail(ErrorKind::Input, "cannot read '{}': larger than {} MiB", path.string(), kMostBytes >> 20);
    }
  }
  // A stream of the C++ library takes an error of the system for the end.
  if (stream.bad() || errno != 0) fail(ErrorKind::Input, "cannot read '{}': {}", path.string(), std::strerror(errno));
  return text;
}

class DocumentReader {
 public:
  explicit DocumentReader(Diagnostics& problems) : problems_(problems) {}

  void read(const fs::path& path, const std::string& text, bool stream, Document& document) {
    const int source = problems_.add_file(is_standard_input(path) ? "standard input" : path.string(), text);
    const NodePtr root = parse_tree(text, source, problems_);
    if (!root) return;
    if (!root->is_map()) {
      problems_.error(root->place,
                      fmt::format("a sweep file is a map with the sections {}", fmt::join(kSections, ", ")));
      return;
    }
    open_.push_back(stream ? path : fs::weakly_canonical(path));
    if (const Member* extends = root->find("extends")) follow(*extends->value, path, document);
    for (const Member& member : root->members) section(member, document);
    open_.pop_back();
  }

 private:
  void follow(const YamlNode& list, const fs::path& from, Document& document) {
    std::vector<NodePtr> items = list.items;
    if (list.is_scalar()) items.push_back(std::make_shared<const YamlNode>(list));
    if (list.is_map()) problems_.error(list.place, "'extends' is a list of file names");
    for (const NodePtr& item : items) {
      if (!item->is_scalar()) {
        problems_.error(item->place, "'extends' is a list of file names");
        continue;
      }
      const fs::path path = from.parent_path() / item->text;
      std::error_code error;
      if (item->text.find("://") != std::string::npos) {
        problems_.error(item->place, "'extends' reads local files only");
      } else if (!is_stream(path) && !fs::is_regular_file(path, error)) {
        problems_.error(item->place, fmt::format("no such file: '{}'", path.string()));
      } else if (std::find(open_.begin(), open_.end(), is_stream(path) ? path : fs::weakly_canonical(path)) !=
                 open_.end()) {
        problems_.error(item->place, fmt::format("'{}' extends itself", item->text));
      } else if (++files_ > kMostFiles) {
        // A chain in which each file extends the next twice would be read 2^n times.
        if (files_ == kMostFiles + 1) {
          problems_.error(item->place, fmt::format("'extends' leads to more than {} files", kMostFiles));
        }
      } else {
        read(path, read_text(path), is_stream(path), document);
      }
    }
  }

  bool must_be(const Member& member, YamlNode::Kind kind) {
    if (member.value->kind == kind) return true;
    problems_.error(member.value->place,
                    fmt::format("'{}' must be {}, is {}", member.key, name_of(kind), name_of(member.value->kind)));
    return false;
  }

  void section(const Member& member, Document& document) {
    const YamlNode& value = *member.value;
    if (member.key == "sweep") {
      if (must_be(member, YamlNode::Kind::Scalar)) label(value, document);
    } else if (member.key == "schema") {
      if (must_be(member, YamlNode::Kind::Scalar) && value.text != "1") {
        problems_.error(value.place, fmt::format("this winnow reads schema 1, the file says {}", value.text));
      }
    } else if (member.key == "trial" || member.key == "save") {
      if (member.key == "trial") document.place = member.place;
      if (must_be(member, YamlNode::Kind::Map)) {
        const std::string prefix = member.key == "save" ? "save" : "";
        merge_entries(document.settings, flatten(value, prefix, problems_));
      }
    } else if (member.key == "pair") {
      if (must_be(member, YamlNode::Kind::Scalar)) {
        merge_entries(document.settings, {{"pair", value.text, member.place, value.place}});
      }
    } else if (member.key == "axes") {
      if (must_be(member, YamlNode::Kind::List)) document.axes = member.value;
    } else if (member.key == "exclude") {
      if (must_be(member, YamlNode::Kind::List)) document.exclude = member.value;
    } else if (member.key == "stop") {
      if (must_be(member, YamlNode::Kind::Map)) document.stop = read_stop(value, problems_);
    } else if (member.key == "site") {
      problems_.error(member.place, "'site' is not supported by this version");
    } else if (member.key == "extends" || member.key == "define") {
      // Followed before; `define` only carries anchors.
    } else {
      std::string hint = hint_for(member.key, member.value->text);
      if (hint.empty()) hint = did_you_mean(member.key, kSections);
      if (hint.empty()) hint = fmt::format("sections are {}", fmt::join(kSections, ", "));
      problems_.error(member.place, fmt::format("unknown section '{}'", member.key), std::move(hint));
    }
  }

  void label(const YamlNode& value, Document& document) {
    const auto plain = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; };
    if (value.text.empty() || value.text.front() == '.' || !std::all_of(value.text.begin(), value.text.end(), plain)) {
      problems_.error(value.place, fmt::format("the label '{}' must be letters, digits, '.', '_', '-'", value.text));
    }
    document.name = value.text;
  }

  Diagnostics& problems_;
  std::vector<fs::path> open_;  // the files being read, outermost first
  std::size_t files_ = 0;       // read through `extends`
};

}  // namespace

std::optional<std::string> read_stream(const fs::path& path) {
  return is_stream(path) ? std::optional(read_text(path)) : std::nullopt;
}

Document read_document(const fs::path& path, const std::optional<std::string>& text, Diagnostics& problems) {
  Document document;
  // The sweep file is the first source, so that what is missing everywhere is reported there.
  document.place = {0, 1, 1, 1};
  const bool stream = text || is_stream(path);
  DocumentReader(problems).read(path, text ? *text : read_text(path), stream, document);
  if (document.name.empty()) document.name = stream ? "sweep" : path.stem().string();
  return document;
}

}  // namespace winnow
