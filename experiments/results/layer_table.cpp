#include "experiments/results/layer_table.h"

#include <algorithm>
#include <limits>
#include <map>

#include "experiments/results/container.h"

namespace winnow {
namespace {

constexpr std::size_t kAbsent = std::numeric_limits<std::size_t>::max();

// `values` in a new order; kAbsent gives `missing`.
template <class T>
std::vector<T> reordered(const std::vector<T>& values, const std::vector<std::size_t>& rows, const T& missing) {
  std::vector<T> result;
  for (const std::size_t row : rows) result.push_back(row == kAbsent ? missing : values[row]);
  return result;
}

struct Reorder {
  const std::vector<std::size_t>& rows;
  decltype(Column::values) operator()(const std::vector<double>& v) const {
    return reordered(v, rows, std::numeric_limits<double>::quiet_NaN());
  }
  decltype(Column::values) operator()(const std::vector<std::int64_t>& v) const {
    return reordered<std::int64_t>(v, rows, -1);
  }
  decltype(Column::values) operator()(const std::vector<std::string>& v) const {
    return reordered(v, rows, std::string());
  }
};

}  // namespace

void LayerTable::add(const WeightRecord& weight, const WeightForms& forms, WeightForm chosen) {
  Row row{weight.name,
          chosen == WeightForm::Own ? weight.encoded->kind : name_of(chosen),
          weight.shape.numel(),
          forms.kept(),
          weight.trained,
          weight.prunable,
          forms.bytes(chosen).value_or(-1),
          {}};
  for (const WeightForm form : kStoredForms) row.bytes.push_back(forms.bytes(form).value_or(-1));
  rows_.push_back(std::move(row));
}

Table LayerTable::table() const {
  std::map<std::string, std::size_t> given;
  std::vector<std::string> given_names;
  if (!given_.columns.empty()) {
    if (const auto* names = std::get_if<std::vector<std::string>>(&given_.columns[0].values)) given_names = *names;
  }
  for (std::size_t i = 0; i < given_names.size(); ++i) given.emplace(given_names[i], i);

  std::vector<std::string> names, forms;
  std::vector<std::size_t> from;
  for (const Row& row : rows_) {
    const auto found = given.find(row.name);
    from.push_back(found == given.end() ? kAbsent : found->second);
    if (found != given.end()) given.erase(found);
    names.push_back(row.name);
    forms.push_back(row.form);
  }
  for (std::size_t i = 0; i < given_names.size(); ++i) {
    const auto left = given.find(given_names[i]);
    if (left == given.end() || left->second != i) continue;
    names.push_back(given_names[i]);
    forms.push_back("");
    from.push_back(i);
  }

  Table table;
  const auto add = [&](Column column) {
    if (find_column(table, column.name) == nullptr) table.columns.push_back(std::move(column));
  };
  const auto counts = [&](auto&& value) {
    std::vector<std::int64_t> values(names.size(), -1);
    std::transform(rows_.begin(), rows_.end(), values.begin(), value);
    return values;
  };
  add({"name", names});
  for (std::size_t c = 1; c < given_.columns.size() && !given_names.empty(); ++c) {
    Column column = given_.columns[c];
    column.values = std::visit(Reorder{from}, column.values);
    if (column.name != "form" && column.name != "stored_bytes") add(std::move(column));
  }
  add({"numel", counts([](const Row& r) { return r.numel; }), "count"});
  add({"kept", counts([](const Row& r) { return r.kept; }), "count"});
  add({"trainable", counts([](const Row& r) { return r.trained; })});
  add({"prunable", counts([](const Row& r) { return r.prunable; })});
  add({"form", forms});
  add({"stored_bytes", counts([](const Row& r) { return r.stored; }), "byte"});
  for (std::size_t f = 0; f < kStoredForms.size(); ++f) {
    add({std::string("bytes.") + name_of(kStoredForms[f]), counts([f](const Row& r) { return r.bytes[f]; }), "byte",
         "after filters; -1: not possible, or pointless for an unpruned tensor"});
  }
  return table;
}

}  // namespace winnow
