// A million trials fit into memory only as differences: what is built of them is what was put in.
#include "experiments/trial_table.h"

#include <algorithm>

#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {
namespace {

TrialSpec spec_with(const std::string& id, std::int64_t replicate, const Settings::Values& settings) {
  TrialSpec spec;
  spec.id = id;
  spec.replicate = replicate;
  spec.settings = Settings(settings);
  spec.identity.set("of", id);
  return spec;
}

bool same(const TrialSpec& a, const TrialSpec& b) {
  return a.id == b.id && a.replicate == b.replicate && a.identity == b.identity && a.settings == b.settings &&
         a.ranks == b.ranks && a.needs == b.needs;
}

std::vector<TrialSpec> samples() {
  std::vector<TrialSpec> all = {spec_with("aa", 0, {{"data.name", "m"}, {"data.root", "r"}, {"lr", "1"}}),
                                spec_with("bb", 3, {{"data.name", "m"}, {"data.root", "r"}, {"lr", "2"}}),
                                spec_with("cc", 1, {{"data.name", "m"}, {"data.root", "q"}, {"lr", "2"}}),
                                spec_with("dd", 0, {{"data.name", "m"}, {"data.root", "r"}, {"momentum", ""}}),
                                spec_with("0123456789abcdef0123", 7, {})};
  all[1].ranks = 4;
  all[2].needs = {{"ticket", "of", "method.of", "aa-r1"}, {"born_again", "teacher", "method.teacher", "bb-r12"}};
  return all;
}

TEST(TrialTable, GivesBackWhatWasPutIn) {
  const std::vector<TrialSpec> specs = samples();
  const TrialTable table(specs);
  ASSERT_EQ(table.size(), specs.size());
  std::size_t at = 0;
  for (const TrialSpec& spec : table) {
    EXPECT_TRUE(same(spec, specs[at])) << at;
    EXPECT_EQ(table.name(at), specs[at].name());
    EXPECT_EQ(table.ranks(at), specs[at].ranks);
    EXPECT_EQ(table.needs(at), specs[at].needs);
    for (const auto& [key, text] : specs[at].settings.values()) EXPECT_EQ(table.text(at, key), text);
    EXPECT_EQ(table.find(at, "nothing"), nullptr);
    ++at;
  }
  EXPECT_THROW((void)table.at(specs.size()), Error);
  EXPECT_EQ(table.varying(), (std::set<std::string>{"of"}));
}

TEST(TrialTable, TrialsOfOneSetupDifferInReplicateAndNeedsAlone) {
  const std::vector<TrialSpec> specs = samples();
  TrialTable table(specs);
  table.add(2, 5, std::vector<TrialNeed>{{"ticket", "of", "method.of", "aa-r5"}});
  EXPECT_EQ(table.setups(), specs.size());
  EXPECT_EQ(table.setup(5), table.setup(2));
  TrialSpec expected = specs[2];
  expected.replicate = 5;
  expected.needs = {{"ticket", "of", "method.of", "aa-r5"}};
  EXPECT_TRUE(same(table[5], expected));
  EXPECT_TRUE(same(table[2], specs[2]));
}

TEST(TrialTable, FindsWhatIsDistinctBelowASection) {
  const TrialTable table(samples());
  const auto of = [&](const std::vector<std::size_t>& wanted) {
    std::string roots;
    for (const Settings& data :
         table.distinct_below("data", [&](std::size_t at) { return std::ranges::find(wanted, at) != wanted.end(); })) {
      roots += data.has("root") ? data.text("root") : "-";
    }
    return roots;
  };
  EXPECT_EQ(of({0, 1, 2, 3, 4}), "rq-") << "another model or recipe makes no other data";
  EXPECT_EQ(of({3, 2}), "qr");
  EXPECT_EQ(of({}), "");
}

TEST(TrialTable, ItsColumnsAreAllOfIt) {
  const std::vector<TrialSpec> specs = samples();
  TrialTable sent(specs), received;
  std::vector<std::vector<char>> wire;
  sent.each_column([&](auto& column) {
    const char* bytes = reinterpret_cast<const char*>(column.data());
    wire.emplace_back(bytes, bytes + column.size() * sizeof(column[0]));
  });
  std::size_t next = 0;
  received.each_column([&](auto& column) {
    column.resize(wire.at(next).size() / sizeof(column[0]));
    std::ranges::copy(wire[next++], reinterpret_cast<char*>(column.data()));
  });
  ASSERT_EQ(received.size(), specs.size());
  for (std::size_t at = 0; at < specs.size(); ++at) {
    EXPECT_TRUE(same(received[at], specs[at])) << at;
    EXPECT_TRUE(same(sent[at], specs[at])) << "still there: " << at;
  }
}

}  // namespace
}  // namespace winnow::test
