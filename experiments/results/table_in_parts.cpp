#include "experiments/results/table_in_parts.h"

#include "experiments/results/container.h"

namespace winnow {

void TableInParts::put(Hdf5File& file, const std::string& place, const LongTable::LongColumn& column,
                       bool whole) const {
  const auto put_values = [&](const std::string& at, const auto& values, auto fill) {
    using Value = decltype(fill);
    if (whole) return file.write<Value>(at, values);
    file.append<Value>(at, written_, values, fill);
  };
  if (const auto* codes = std::get_if<LongTable::Codes>(&column.values)) {
    if (!file.has(place)) file.make_group(place);
    // A column that comes late begins with the text that says nothing.
    put_values(place + "/codes", *codes, std::int32_t{0});
  } else if (const auto* integers = std::get_if<LongTable::Integers>(&column.values)) {
    put_values(place, *integers, std::int64_t{0});
  } else {
    if (file.has(place) && file.type(place) == Hdf5File::Type::Integer) file.make_real(place);
    put_values(place, std::get<LongTable::Reals>(column.values), kAbsentNumber);
  }
}

void TableInParts::put_all(Hdf5File& file, const LongTable& table, bool whole) const {
  if (written_ == 0) file.make_group(path_);
  for (const auto& column : table.columns()) put(file, path_ + "/" + member(column.about.name), column, whole);
}

void TableInParts::write(Hdf5File& file, LongTable& table) {
  put_all(file, table, false);
  written_ += table.rows();
  table.clear();
}

void TableInParts::finish(Hdf5File& file, const LongTable& table) const {
  put_all(file, table, written_ == 0);
  std::vector<std::string> names;
  for (const auto& column : table.columns()) {
    names.push_back(member(column.about.name));
    const std::string place = path_ + "/" + names.back();
    const auto& texts = column.categories.texts();
    if (std::holds_alternative<LongTable::Codes>(column.values)) {
      write_categories(file, place, {texts.begin(), texts.end()});
    } else {
      set_encoding(file, place, "array", "0.2.0");
    }
    set_column(file, place, column.about);
  }
  set_table(file, path_, names);
}

}  // namespace winnow
