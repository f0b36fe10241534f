#include "experiments/sweep/argument.h"

#include "core/error.h"

namespace winnow {

NodePtr parse_argument(const std::string& said, const std::string& argument, Diagnostics& problems) {
  const std::size_t equals = argument.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == argument.size()) {
    fail(ErrorKind::Usage, "{} needs key=value, got '{}'", said.substr(0, said.find(' ')), argument);
  }
  const int source = problems.add_argument(said);
  const NodePtr value = parse_tree(argument.substr(equals + 1), source, problems);
  if (!value) return nullptr;
  auto map = std::make_shared<YamlNode>();
  map->kind = YamlNode::Kind::Map;
  map->place = {source, 1, 1, 1};
  map->members.push_back({argument.substr(0, equals), map->place, value});
  return map;
}

}  // namespace winnow
