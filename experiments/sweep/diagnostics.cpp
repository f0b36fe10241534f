#include "experiments/sweep/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>

namespace winnow {
namespace {

constexpr std::size_t kMostShown = 20;
constexpr std::size_t kMostColumns = 160;  // of a source line

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    if (!lines.back().empty() && lines.back().back() == '\r') lines.back().pop_back();
    begin = end + 1;
  }
  return lines;
}

// Of a long line the part around `start`, which moves with it.
void clip(std::string& line, std::size_t& start) {
  const std::size_t cut = start < kMostColumns / 2 ? 0 : start - kMostColumns / 4;
  if (cut > 0 && line.size() > kMostColumns) {
    line = "..." + line.substr(cut);
    start = start - cut + 3;
  }
  if (line.size() > kMostColumns) line = line.substr(0, kMostColumns) + "...";
}

// A value without end in the file is none in a message: its beginning and what is said of it are left.
std::string shortened(std::string text) {
  constexpr std::size_t kBeginning = 300, kEnd = 700;
  if (text.size() <= kBeginning + kEnd) return text;
  return text.substr(0, kBeginning) + " ... " + text.substr(text.size() - kEnd);
}

}  // namespace

int Diagnostics::add_file(std::string path, const std::string& text) {
  sources_.push_back({std::move(path), split_lines(text)});
  return static_cast<int>(sources_.size()) - 1;
}

int Diagnostics::add_argument(std::string text) {
  sources_.push_back({std::move(text), {}});
  return static_cast<int>(sources_.size()) - 1;
}

void Diagnostics::error(const Place& place, std::string text, std::string hint) {
  text = shortened(std::move(text));
  if (seen_.emplace(place.source, place.line, place.column, text).second) {
    problems_.push_back({place, std::move(text), std::move(hint)});
  }
}

std::string Diagnostics::files_text(bool named) const {
  std::string text;
  for (const Source& source : sources_) {
    if (source.lines.empty()) continue;  // an argument
    if (named) text += fmt::format("# {}\n", source.label);
    text += fmt::format("{}\n", fmt::join(source.lines, "\n"));
  }
  return text;
}

std::string Diagnostics::where(const Place& place) const {
  const Source& source = sources_.at(static_cast<std::size_t>(place.source));
  return source.lines.empty() ? source.label : fmt::format("{}:{}", source.label, place.line);
}

std::string Diagnostics::render(const Problem& problem) const {
  const Place& place = problem.place;
  const Source& source = sources_.at(static_cast<std::size_t>(place.source));
  std::string hint = problem.hint.empty() ? "" : fmt::format("   {}\n", problem.hint);
  if (source.lines.empty()) return fmt::format("{}: error: {}\n{}", source.label, problem.text, hint);

  const auto row = static_cast<std::size_t>(place.line - 1);
  std::string line = row < source.lines.size() ? source.lines[row] : "";
  std::size_t start = std::min(static_cast<std::size_t>(place.column - 1), line.size());
  clip(line, start);
  const std::size_t room = std::max<std::size_t>(line.size() - start, 1);
  const std::size_t width = std::clamp<std::size_t>(static_cast<std::size_t>(place.width), 1, room);
  // Tabs are repeated so that the mark stands below its word in any terminal.
  std::string blank = line.substr(0, start);
  for (char& c : blank) c = c == '\t' ? '\t' : ' ';
  return fmt::format("{}:{}:{}: error: {}\n{:5} | {}\n      | {}^{}\n{}", source.label, place.line, place.column,
                     problem.text, place.line, line, blank, std::string(width - 1, '~'), hint);
}

void Diagnostics::throw_if_any() const {
  if (problems_.empty()) return;
  std::vector<Problem> sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.place.source, a.place.line, a.place.column) <
           std::tie(b.place.source, b.place.line, b.place.column);
  });
  std::string text;
  for (std::size_t i = 0; i < std::min(sorted.size(), kMostShown); ++i) text += render(sorted[i]);
  if (sorted.size() > kMostShown) text += fmt::format("and {} more\n", sorted.size() - kMostShown);
  text.pop_back();  // whoever prints it ends the line
  throw SweepError(text);
}

}  // namespace winnow
