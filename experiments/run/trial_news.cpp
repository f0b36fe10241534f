#include "experiments/run/trial_news.h"

#include <fmt/format.h>

#include <iostream>
#include <utility>

#include "experiments/results/json_number.h"
#include "experiments/run/run_journal.h"

namespace winnow {
namespace {

// No person or library begins a line with it.
constexpr char kMark = '\x01';

class Pipe final : public NewsDesk {
 public:
  void tell(const TrialNews& news) override { std::cerr << encode(news) + "\n" << std::flush; }
};

class Post final : public NewsDesk {
 public:
  explicit Post(Mail& mail) : mail_(mail) {}
  void tell(const TrialNews& news) override { mail_.send(encode(news)); }

 private:
  Mail& mail_;
};

}  // namespace

std::string encode(const TrialNews& news) {
  const nlohmann::json json = {
      {"at", news.at},
      {"step", news.progress.step},
      {"steps", news.progress.steps},
      {"from", news.progress.from},
      {"loss", number_or_null(news.progress.loss)},
      {"test", number_or_null(news.progress.test_acc)},
      {"speed", news.progress.images_per_second},
      {"seconds", news.seconds},
      {"end", news.end ? nlohmann::json(static_cast<int>(*news.end)) : nlohmann::json()},
      {"saved", news.saved ? nlohmann::json(*news.saved) : nlohmann::json()},
      {"epoch", number_or_null(news.epoch)},
      {"text", news.text},
      {"promoted", news.decision && news.decision->promoted},
      {"decision", news.decision ? nlohmann::json(fields_of(*news.decision)) : nlohmann::json()}};
  return kMark + json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<TrialNews> decode(std::string_view line) {
  if (line.empty() || line.front() != kMark) return std::nullopt;
  const auto json = nlohmann::json::parse(line.substr(1), nullptr, false);
  if (!json.is_object()) return std::nullopt;  // cut short by the death of its writer
  TrialNews news;
  news.at = json.at("at");
  news.progress.step = json.at("step");
  news.progress.steps = json.at("steps");
  news.progress.from = json.at("from");
  news.progress.loss = number_in(json, "loss");
  news.progress.test_acc = number_in(json, "test");
  news.progress.images_per_second = number_in(json, "speed").value_or(0);
  news.seconds = json.at("seconds");
  if (!json.at("end").is_null()) news.end = static_cast<TrialEnd>(json.at("end").get<int>());
  if (!json.at("saved").is_null()) news.saved = json.at("saved").get<std::int64_t>();
  news.epoch = number_in(json, "epoch");
  news.text = json.at("text");
  if (const auto& decision = json.at("decision"); !decision.is_null()) {
    news.decision = decision_of(news.at, json.at("promoted"), decision);
  }
  return news;
}

void FrontDesk::keep(RunJournal* journal) {
  journal_ = journal;
  for (const RungDecision& one : std::exchange(decided_, {})) decided(one);
}

void FrontDesk::decided(const RungDecision& decision) {
  if (journal_ == nullptr) return decided_.push_back(decision);
  journal_->decided(trials_.name(decision.trial), decision);
}

void FrontDesk::show(const TrialNews& news) {
  if (news.decision) return decided(*news.decision);
  told_[news.at] = news.end && news.end != TrialEnd::Left;
  const auto text = [&](const char* key) { return trials_.text(news.at, key); };
  TrialRow row;
  row.name = trials_.name(news.at);
  row.label = text("method.name");
  if (trials_.find(news.at, "method.density") != nullptr) row.label += " " + text("method.density");
  row.place = text("model.name") + " on " + text("data.name");
  row.step = news.progress.step;
  row.steps = news.progress.steps;
  row.from = news.progress.from;
  row.loss = news.progress.loss;
  row.test_acc = news.progress.test_acc;
  row.images_per_second = news.progress.images_per_second;
  row.seconds = news.seconds;
  row.cost = costs_[news.at];
  if (journal_ != nullptr) journal_->hear(row.name, news);
  if (news.end == TrialEnd::Left) {
    console_.leave(row.name, news.text);
  } else if (news.end) {
    console_.end(row, *news.end, news.text);
  } else {
    console_.update(row);
    if (!news.text.empty()) console_.line(fmt::format("{}  {}", row.name, news.text));
  }
}

void FrontDesk::tell(const TrialNews& news) {
  show(news);
  listen();
}

void FrontDesk::tell_if_untold(const TrialNews& end) {
  if (!told_[end.at]) tell(end);
}

void FrontDesk::give_back(std::size_t at, const std::string& why, bool crashed) {
  console_.give_back(trials_.name(at), why);
  if (journal_ != nullptr) journal_->given_back(trials_.name(at), why, crashed);
}

FrontDesk::Line FrontDesk::tell_line(const std::string& line) {
  if (const auto news = decode(line)) {
    show(*news);
    return news->end ? Line::End : Line::News;
  }
  if (line.empty() || line.front() == kMark) return Line::Nothing;
  if (line.starts_with("note ")) {
    if (notes_.insert(line).second) console_.line(line);
    return Line::Nothing;
  }
  console_.line(line);
  return Line::Words;
}

void FrontDesk::listen() {
  while (const auto text = mail_.receive()) {
    if (const auto news = decode(*text)) show(*news);
  }
  console_.tick();
  if (journal_ != nullptr) journal_->tick();
}

std::unique_ptr<NewsDesk> news_by_pipe() { return std::make_unique<Pipe>(); }

std::unique_ptr<NewsDesk> news_by_mail(Mail& mail) { return std::make_unique<Post>(mail); }

}  // namespace winnow
