// What every method, model and data set of the build declares must hold together, and must not change
// under the results that people have.
#include <set>

#include "core/setting_text.h"
#include "experiments/sweep/resolver.h"
#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {
namespace {

struct Reader {
  std::string name;  // "method gmp"
  int version;
  const Schema* schema;
};

std::vector<Reader> readers() {
  std::vector<Reader> all = {{"trial", catalog().train_version, &catalog().trial}};
  const auto add = [&](const char* kind, const std::vector<Component>& components) {
    for (const Component& one : components) all.push_back({kind + (" " + one.name), one.version, &one.schema});
  };
  add("data", catalog().datasets);
  add("model", catalog().models);
  add("method", catalog().methods);
  return all;
}

// Identities leave defaults out. A default that changes while the version stays would give two experiments
// one name, and an old result would be taken for a new one.
TEST(Catalog, ADefaultChangesOnlyWithTheVersionOfItsReader) {
  std::set<std::string> now, pinned;
  for (const Reader& reader : readers()) {
    for (const Setting& setting : *reader.schema) {
      now.insert(fmt::format("{} version {}: {} = {}", reader.name, reader.version, setting.key,
                             setting.fallback.value_or("required")));
    }
  }
  std::ifstream lines(std::filesystem::path(WINNOW_SOURCE_DIR) / "tests/sweep/golden/defaults.txt");
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#')) pinned.insert(line);
  }
  EXPECT_GT(pinned.size(), 200u);
  for (const std::string& line : pinned) {
    EXPECT_TRUE(now.contains(line))
        << "no longer so: " << line
        << "\nA default that changes needs a new version of its reader (Component::version, "
           "Catalog::train_version); then change tests/sweep/golden/defaults.txt";
  }
  for (const std::string& line : now) {
    EXPECT_TRUE(pinned.contains(line)) << "not yet in tests/sweep/golden/defaults.txt: " << line;
  }
}

TEST(Catalog, ConditionsNameEarlierSettingsAndTheirValues) {
  for (const Reader& reader : readers()) {
    const Schema& schema = *reader.schema;
    for (std::size_t i = 0; i < schema.size(); ++i) {
      for (const auto& conditions : schema[i].read_when) {
        for (const Condition& condition : conditions) {
          const Setting* named = find_setting(schema, condition.key);
          ASSERT_NE(named, nullptr) << reader.name << " " << schema[i].key << " asks for " << condition.key;
          EXPECT_LT(named, &schema[i]) << reader.name << " " << schema[i].key;
          for (const std::string& value : condition.values) {
            EXPECT_EQ(canonical_value(*named, value).text, value) << reader.name << " " << condition.key;
          }
        }
      }
    }
  }
}

// The settings of this full key in the catalog; a method's own list means its own by "method.".
std::vector<const Setting*> meant_by(const std::string& key, const Component* owner) {
  if (owner != nullptr && key.starts_with("method.")) {
    const Setting* own = find_setting(owner->schema, key.substr(7));
    return own == nullptr ? std::vector<const Setting*>() : std::vector{own};
  }
  return settings_named(catalog(), key);
}

TEST(Catalog, OverridesNameSettingsAndTheirValues) {
  const auto check = [](const std::vector<Override>& overrides, const Component* owner, const std::string& name) {
    for (const Override& each : overrides) {
      SCOPED_TRACE(name + " overrides " + each.key);
      EXPECT_FALSE(meant_by(each.key, owner).empty());
      for (const auto& conditions : each.when) {
        for (const Condition& condition : conditions) {
          const auto asked = meant_by(condition.key, owner);
          ASSERT_EQ(asked.size(), 1u) << condition.key;
          for (const std::string& value : condition.values) {
            EXPECT_TRUE(value.empty() || canonical_value(*asked.front(), value).text == value) << condition.key;
          }
        }
      }
    }
  };
  check(catalog().overrides, nullptr, "the trial");
  for (const Component& method : catalog().methods) check(method.overrides, &method, method.name);
  for (const auto* others : {&catalog().models, &catalog().datasets}) {
    for (const Component& other : *others) check(other.overrides, nullptr, other.name);
  }
}

TEST(Catalog, EveryLengthSaysWhereItCanAct) {
  using Kind = Setting::Kind;
  for (const Reader& reader : readers()) {
    for (const Setting& setting : *reader.schema) {
      const bool is_length = setting.kind == Kind::Length || setting.kind == Kind::LengthList;
      if (setting.key == "train.epochs") continue;  // the run itself
      EXPECT_EQ(setting.span.has_value(), is_length) << reader.name << " " << setting.key;
      if (!setting.span) continue;
      for (const std::string& bound : {setting.span->from, setting.span->until}) {
        if (bound.empty()) continue;
        const Setting* named = find_setting(*reader.schema, bound);
        ASSERT_NE(named, nullptr) << reader.name << " " << bound;
        EXPECT_TRUE(named->kind == Kind::Length || named->kind == Kind::Real) << reader.name << " " << bound;
      }
    }
  }
}

}  // namespace
}  // namespace winnow::test
