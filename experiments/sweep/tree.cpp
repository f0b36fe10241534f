#include "experiments/sweep/tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>

namespace winnow {
namespace {

constexpr std::size_t kMostNodes = 1'000'000;
constexpr std::size_t kMostDepth = 100;  // whoever walks the tree calls itself

struct StopParsing {};

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& text, int source, Diagnostics& problems)
      : text_(text), source_(source), problems_(problems) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { put(make(mark, YamlNode::Kind::Null), anchor); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      problems_.error(place(mark), "an alias inside the node it names");
      throw StopParsing();
    }
    if (!frames_.empty() && awaits_key(frames_.back())) {
      problems_.error(place(mark), "a key must be a plain word, not an alias");
      throw StopParsing();
    }
    nodes_ += found->second->size;
    check_size(mark);
    check_depth(mark, found->second->depth);
    put(found->second, 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool quoted = tag == "!";
    refuse_tag(mark, tag);
    if (quoted) require_closing_quote(mark);
    auto node = make(mark, YamlNode::Kind::Scalar);
    node->text = value;
    node->place.width = static_cast<int>(value.size()) + (quoted ? 2 : 0);
    if (value == "<<" && !quoted && !frames_.empty() && awaits_key(frames_.back())) {
      problems_.error(node->place, "merge keys ('<<') are not part of the sweep file; use 'extends'");
      throw StopParsing();
    }
    put(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::List);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::Map);
  }
  void OnMapEnd() override { close(); }

  NodePtr root() const { return root_; }

 private:
  struct Frame {
    std::shared_ptr<YamlNode> node;
    YAML::anchor_t anchor;
    bool has_key = false;
    std::string key;
    Place key_place;
  };

  static bool awaits_key(const Frame& frame) { return frame.node->is_map() && !frame.has_key; }

  Place place(const YAML::Mark& mark) const { return {source_, mark.line + 1, mark.column + 1, 1}; }

  std::shared_ptr<YamlNode> make(const YAML::Mark& mark, YamlNode::Kind kind) {
    ++nodes_;
    check_size(mark);
    auto node = std::make_shared<YamlNode>();
    node->kind = kind;
    node->place = place(mark);
    return node;
  }

  void check_size(const YAML::Mark& mark) {
    if (nodes_ <= kMostNodes) return;
    problems_.error(place(mark), fmt::format("the file has more than {} nodes", kMostNodes));
    throw StopParsing();
  }

  // `below`: of what is put into the open nodes.
  void check_depth(const YAML::Mark& mark, std::size_t below) {
    if (frames_.size() + below <= kMostDepth) return;
    problems_.error(place(mark), fmt::format("more than {} lists and maps inside each other", kMostDepth));
    throw StopParsing();
  }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    problems_.error(place(mark), fmt::format("tags are not part of the sweep file: '{}'", tag));
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Kind kind) {
    refuse_tag(mark, tag);
    if (!frames_.empty() && awaits_key(frames_.back())) {
      problems_.error(place(mark), "a key must be a plain word, not a list or a map");
      throw StopParsing();
    }
    check_depth(mark, 1);
    frames_.push_back({make(mark, kind), anchor, false, {}, {}});
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    const auto count = [&node = *frame.node](const YamlNode& child) {
      node.size += child.size;
      node.depth = std::max(node.depth, child.depth + 1);
    };
    for (const NodePtr& item : frame.node->items) count(*item);
    for (const Member& member : frame.node->members) count(*member.value);
    put(std::move(frame.node), frame.anchor);
  }

  void put(NodePtr node, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = node;
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.node->is_list()) {
      frame.node->items.push_back(std::move(node));
    } else if (!frame.has_key) {
      if (node->is_null()) problems_.error(node->place, "a key must be a word");
      frame.has_key = true;
      frame.key = node->text;
      frame.key_place = node->place;
    } else {
      if (const Member* other = frame.node->find(frame.key)) {
        problems_.error(frame.key_place,
                        fmt::format("key '{}' is given twice, first in line {}", frame.key, other->place.line));
      } else {
        frame.node->members.push_back({frame.key, frame.key_place, placed(node, frame.key_place)});
      }
      frame.has_key = false;
    }
  }

  // An absent value has no place worth showing; its key has.
  static NodePtr placed(const NodePtr& node, const Place& key_place) {
    if (!node->is_null()) return node;
    auto null = std::make_shared<YamlNode>(*node);
    null->place = key_place;
    return null;
  }

  // The library ends a quoted text at the end of the file without a word.
  void require_closing_quote(const YAML::Mark& mark) {
    const auto start = static_cast<std::size_t>(std::max(mark.pos, 0));
    if (start >= text_.size() || (text_[start] != '"' && text_[start] != '\'')) return;
    const char quote = text_[start];
    for (std::size_t i = start + 1; i < text_.size(); ++i) {
      if (quote == '"' && text_[i] == '\\') {
        ++i;
      } else if (text_[i] == quote) {
        if (quote == '"' || i + 1 == text_.size() || text_[i + 1] != quote) return;
        ++i;  // '' is a quote inside single quotes
      }
    }
    problems_.error(place(mark), "not readable as YAML: the closing quote is missing");
    throw StopParsing();
  }

  const std::string& text_;
  int source_;
  Diagnostics& problems_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, NodePtr> anchors_;
  std::size_t nodes_ = 0;
  NodePtr root_;
};

// Whether a line up to `line`, from 0, is indented with a tab. The library says of that only that
// it found something else than it wanted, there or later.
bool tab_before(const std::string& text, int line) {
  std::istringstream lines(text);
  std::string one;
  for (int i = 0; i <= line && std::getline(lines, one); ++i) {
    const std::size_t start = std::min(one.find_first_not_of(" \t"), one.size());
    if (one.find('\t') < start) return true;
  }
  return false;
}

}  // namespace

const Member* YamlNode::find(const std::string& key) const {
  for (const Member& member : members) {
    if (member.key == key) return &member;
  }
  return nullptr;
}

const char* name_of(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::Null:
      return "nothing";
    case YamlNode::Kind::Scalar:
      return "a value";
    case YamlNode::Kind::List:
      return "a list";
    case YamlNode::Kind::Map:
      return "a map";
  }
  return "";
}

NodePtr parse_tree(const std::string& text, int source, Diagnostics& problems) {
  TreeBuilder builder(text, source, problems);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) {
      auto empty = std::make_shared<YamlNode>();
      empty->place = {source, 1, 1, 1};
      return empty;
    }
    const NodePtr root = builder.root();
    if (parser.HandleNextDocument(builder)) {
      problems.error(builder.root()->place, "a sweep file holds one document");
    }
    return root;
  } catch (const YAML::Exception& error) {
    problems.error({source, std::max(error.mark.line, 0) + 1, std::max(error.mark.column, 0) + 1, 1},
                   fmt::format("not readable as YAML: {}", error.msg),
                   tab_before(text, error.mark.line) ? "tabs cannot indent; use spaces" : "");
  } catch (const StopParsing&) {
    // The reason is already among the problems.
  }
  return nullptr;
}

}  // namespace winnow
