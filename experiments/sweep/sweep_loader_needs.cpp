// The part of a SweepLoader that deals with trials that need others.
#include "experiments/sweep/catalog_keys.h"
#include "experiments/sweep/sweep_loader.h"
#include "experiments/text.h"

namespace winnow {

// Trials that need others: finds those, brings in what --only left out, and settles all identities anew.
void SweepLoader::link(const Document& document, TrialResolver& resolver) {
  NeedLinks links(problems_, [&](const NeedReference& reference) { return dense_like(reference, document, resolver); });
  const auto references = [&](const TrialSpec& spec) {
    const auto known = references_.find(spec.id);
    return known == references_.end() ? nullptr : known->second;
  };
  const TrialTable given = trials_.take();
  for (const TrialSpec& spec : given) links.add(spec, references(spec), true);
  for (const Point* point : kept_back_) {
    ResolvedTrial trial = resolver.resolve(*point);
    if (options_.smoke) fit_smoke_data(trial, *point, resolver);
    if (!trial.problems.empty() || rules_.excluded(trial.spec)) continue;
    const TrialSpec spec = identified(trial.spec);
    note_references(spec, *point, resolver);
    links.add(spec, references(spec), false);
  }
  for (const auto& [alias, name] : aliases_) links.add_alias(alias, name);
  std::size_t pulled_in = 0, made = 0;
  links.link([&](const TrialSpec& spec, NeedLinks::Why why) {
    pulled_in += why == NeedLinks::Why::PulledIn ? 1 : 0;
    made += why == NeedLinks::Why::Made ? 1 : 0;
    const bool unchecked = why == NeedLinks::Why::PulledIn && options_.check;
    if (const auto problem = unchecked ? options_.check(spec) : std::nullopt) {
      problems_.error(document.place, fmt::format("a trial that another needs: '{}' {}", problem->key, problem->text));
    }
    if (trials_.add(spec) == TrialList::Added::Duplicate) ++sweep_.duplicates;
  });
  if (pulled_in > 0) {
    sweep_.notes.push_back(fmt::format("{} that --only leaves out {}: others need {}", counted(pulled_in, "trial"),
                                       pulled_in == 1 ? "stays" : "stay", pulled_in == 1 ? "it" : "them"));
  }
  if (made > 0) {
    sweep_.notes.push_back(fmt::format("{} {} added: others need {} and no axis gives {}", counted(made, "dense trial"),
                                       made == 1 ? "is" : "are", made == 1 ? "it" : "them", made == 1 ? "it" : "them"));
  }
}

// The trial of the reference with `method.name: dense`.
std::optional<TrialSpec> SweepLoader::dense_like(const NeedReference& reference, const Document& document,
                                                 TrialResolver& resolver) {
  Point point = reference.point;
  const auto give = [&](std::string key, std::string text) {
    point.entries.push_back(
        &own_entries_.emplace_back(Entry{std::move(key), std::move(text), reference.place, reference.place}));
  };
  const auto of_method = [](const std::string& key) { return key.starts_with("method.") || key == "label"; };
  std::erase_if(point.entries, [&](const Entry* entry) { return of_method(entry->key); });
  std::erase_if(point.replacing, [&](const Entry* entry) { return of_method(entry->key); });
  give("method.name", "dense");
  give("label", "dense");
  std::set<std::string> with;
  const std::string composed = std::string(kWith) + ".";
  for (const Entry& entry : document.settings) {
    if (!entry.key.starts_with(composed)) continue;
    with.insert(entry.key.substr(0, entry.key.find('.', composed.size())));
  }
  for (const std::string& key : with) give(key, "off");
  ResolvedTrial trial = resolver.resolve(point);
  if (options_.smoke) fit_smoke_data(trial, point, resolver);
  for (const FoundProblem& problem : trial.problems) problems_.error(reference.place, problem.text, problem.hint);
  if (!trial.problems.empty()) return std::nullopt;
  TrialSpec spec = identified(trial.spec);
  if (rules_.excluded(spec)) {
    problems_.error(reference.place,
                    fmt::format("'{}': a rule leaves out the dense trial that it names", reference.key));
    return std::nullopt;
  }
  if (const auto problem = options_.check ? options_.check(spec) : std::nullopt) {
    problems_.error(reference.place,
                    fmt::format("the dense trial that it names: '{}' {}", problem->key, problem->text));
    return std::nullopt;
  }
  return spec;
}

void SweepLoader::note_references(const TrialSpec& spec, const Point& point, const TrialResolver& resolver) {
  std::vector<NeedReference> found = need_references(catalog_, spec.settings);
  if (found.empty()) return;
  for (NeedReference& reference : found) {
    reference.place = resolver.place_of(point, reference.key);
    reference.point = point;
  }
  references_.emplace(spec.id, std::make_shared<const std::vector<NeedReference>>(std::move(found)));
}

}  // namespace winnow
