// docs/reliability.md names a test for every promise: each of them is there.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace winnow::test {
namespace {

namespace fs = std::filesystem;

const fs::path& repository() {
  static const fs::path root(WINNOW_SOURCE_DIR);
  return root;
}

std::string text_of_file(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool is_of_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string word_at(std::string_view text, std::size_t at) {
  const auto end = std::find_if_not(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(), is_of_word);
  return {text.begin() + static_cast<std::ptrdiff_t>(at), end};
}

// Words behind each place where a text has `start`.
void add_words_after(const std::string& text, std::string_view start, std::set<std::string>& words) {
  for (std::size_t at = 0; (at = text.find(start, at)) != std::string::npos;) {
    at += start.size();
    words.insert(word_at(text, at));
  }
}

// "Suite.Name" of each test of a source: TEST(Suite, Name), TEST_F and TEST_P.
void add_cases(const std::string& text, std::set<std::string>& cases) {
  for (const std::string_view macro : {"\nTEST(", "\nTEST_F(", "\nTEST_P("}) {
    for (std::size_t at = 0; (at = text.find(macro, at)) != std::string::npos;) {
      at += macro.size();
      const std::string suite = word_at(text, at);
      const std::size_t name = text.find_first_not_of(", \n", at + suite.size());
      cases.insert(suite + "." + word_at(text, name));
    }
  }
}

struct Tests {
  std::set<std::string> cases;    // of googletest
  std::set<std::string> scripts;  // of ctest, programs of tests, and functions of python tests

  Tests() {
    for (const auto& entry : fs::recursive_directory_iterator(repository() / "tests")) {
      const fs::path& path = entry.path();
      if (path.extension() == ".cpp") add_cases(text_of_file(path), cases);
      if (path.extension() == ".py") add_words_after(text_of_file(path), "def ", scripts);
      if (path.filename() != "CMakeLists.txt") continue;
      add_words_after(text_of_file(path), "add_test(NAME ", scripts);
      add_words_after(text_of_file(path), "add_executable(", scripts);
    }
  }
};

// "*" is any text.
bool fits(std::string_view name, std::string_view pattern) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return name == pattern;
  if (!name.starts_with(pattern.substr(0, star))) return false;
  for (std::size_t at = star; at <= name.size(); ++at) {
    if (fits(name.substr(at), pattern.substr(star + 1))) return true;
  }
  return false;
}

bool any_fits(const std::set<std::string>& names, const std::string& pattern) {
  return std::ranges::any_of(names, [&](const std::string& name) { return fits(name, pattern); });
}

// The page says "..." for what is left out.
std::string with_stars(std::string quoted) {
  for (std::size_t at; (at = quoted.find("...")) != std::string::npos;) quoted.replace(at, 3, "*");
  return quoted;
}

// Of `Suite.Name`, `Suite.Na...`, `Suite.*`, `Suite\..*`, `Suit*`; empty: it is no such name.
std::string case_pattern(const std::string& quoted) {
  const std::string suite = word_at(quoted, 0);
  if (suite.empty() || std::isupper(static_cast<unsigned char>(suite[0])) == 0) return "";
  const std::string rest = quoted.substr(suite.size());
  if (rest == "\\..*") return suite + ".*";
  return rest == "*" || rest.starts_with('.') ? with_stars(quoted) : "";
}

std::vector<std::string> quoted_in(const std::string& line) {
  std::vector<std::string> found;
  for (std::size_t at = 0; (at = line.find('`', at)) != std::string::npos;) {
    const std::size_t end = line.find('`', at + 1);
    if (end == std::string::npos) break;
    found.push_back(line.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return found;
}

TEST(ReliabilityPage, EveryTestThatItNamesIsThere) {
  const Tests tests;
  EXPECT_TRUE(tests.cases.contains("ReliabilityPage.EveryTestThatItNamesIsThere"));
  std::ifstream page(repository() / "docs" / "reliability.md");
  int named = 0;
  for (std::string line; std::getline(page, line);) {
    for (const std::string& quoted : quoted_in(line)) {
      const std::string pattern = case_pattern(quoted);
      if (pattern.empty()) continue;
      EXPECT_TRUE(any_fits(tests.cases, pattern)) << quoted;
      ++named;
    }
    if (!line.starts_with("| ")) continue;
    // The last column of a table names tests, and files that hold them.
    line.resize(line.rfind('|'));
    for (const std::string& quoted : quoted_in(line.substr(line.rfind('|')))) {
      if (!case_pattern(quoted).empty()) continue;
      const bool is_path = quoted.find('/') != std::string::npos;
      EXPECT_TRUE(is_path ? fs::exists(repository() / quoted) : any_fits(tests.scripts, with_stars(quoted))) << quoted;
      ++named;
    }
  }
  EXPECT_GT(named, 100);
}

}  // namespace
}  // namespace winnow::test
