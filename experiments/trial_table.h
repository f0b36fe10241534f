// The trials of a sweep in little memory, so that a million fit: trials that differ in nothing but their replicate share one
// setup, setups share the texts of their settings (SettingsTable), and a TrialSpec is built when somebody asks for it. A
// const table may be shared between threads; it can be moved, not copied.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "experiments/settings_table.h"
#include "experiments/trial.h"

namespace winnow {

class TrialTable {
 public:
  using Index = std::uint32_t;

  TrialTable() = default;
  explicit TrialTable(std::span<const TrialSpec> trials);  // each with a setup of its own
  TrialTable(TrialTable&&) = default;
  TrialTable& operator=(TrialTable&&) = default;

  // A trial with settings of its own, and one that differs from trial `like` only in these.
  void add(const TrialSpec& spec);
  void add(Index like, std::int64_t replicate, std::span<const TrialNeed> needs);

  std::size_t size() const { return trials_.size(); }
  bool empty() const { return trials_.empty(); }
  TrialSpec operator[](std::size_t at) const;
  TrialSpec at(std::size_t at) const;  // Error{Internal} beyond the end
  TrialSpec front() const { return at(0); }

  // Parts of a trial, for what looks at all of them.
  std::string id(std::size_t at) const { return id_of(setups_[trials_[at].setup].id); }
  std::string name(std::size_t at) const;
  std::unordered_map<std::string, std::size_t> positions() const;  // by name
  int ranks(std::size_t at) const { return setups_[trials_[at].setup].ranks; }
  std::int64_t replicate(std::size_t at) const { return trials_[at].replicate; }
  bool has_needs(std::size_t at) const { return !needs_of(at).empty(); }
  std::vector<TrialNeed> needs(std::size_t at) const;
  const std::string* find(std::size_t at, std::string_view key) const;  // of its settings; null if absent
  const std::string& text(std::size_t at, std::string_view key) const;  // Error{Settings} if absent
  Settings identity(std::size_t at) const;
  // Trials of one setup have all but replicate and needs in common.
  Index setup(std::size_t at) const { return trials_[at].setup; }
  std::size_t setups() const { return setups_.size(); }

  // Keys of identities that not all trials have with one text.
  std::set<std::string> varying() const { return identities_.varying(texts_); }
  // Each that the wanted trials have as settings below `section`, once; keys without it.
  std::vector<Settings> distinct_below(const std::string& section,
                                       const std::function<bool(std::size_t at)>& wanted) const;

  // Walks over trials, each built when it is looked at.
  class Iterator {
   public:
    using value_type = TrialSpec;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    Iterator(const TrialTable* table, std::size_t at) : table_(table), at_(at) {}
    TrialSpec operator*() const { return (*table_)[at_]; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++at_;
      return before;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    const TrialTable* table_ = nullptr;
    std::size_t at_ = 0;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

  // All it is made of, as vectors of plain values, for whoever sends it. One that was received is read, not added to.
  template <class Each>
  void each_column(Each&& each) {
    TextPool::Packed packed = texts_.packed();
    each(packed.lengths);
    each(packed.text);
    texts_ = TextPool::unpacked(packed);
    settings_.each_column(each);
    identities_.each_column(each);
    each(setups_);
    each(trials_);
    each(needs_);
  }

 private:
  using Id = std::array<char, 20>;  // shorter ones end in zeros
  struct Setup {                    // its number is that of its rows in settings_ and identities_
    Id id;
    std::int32_t ranks;
  };
  struct Trial {
    Index setup;
    std::uint32_t replicate, needs_end;
  };
  struct Need {
    TextPool::Id method, role, key;
    Id id;  // of the trial that is needed
    std::uint32_t replicate;
  };
  static Id packed_id(std::string_view id);
  static std::string id_of(const Id& id);
  std::span<const Need> needs_of(std::size_t at) const;
  void add_trial(Index setup, std::int64_t replicate, std::span<const TrialNeed> needs);

  TextPool texts_;
  SettingsTable settings_, identities_;
  std::vector<Setup> setups_;
  std::vector<Trial> trials_;
  std::vector<Need> needs_;  // of all trials
};

}  // namespace winnow
