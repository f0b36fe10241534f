// Putting a method's schema together from shared and own parts.
#pragma once

#include <initializer_list>

#include "core/settings.h"

namespace winnow {

inline Schema joined(std::initializer_list<Schema> parts) {
  Schema schema;
  for (const Schema& part : parts) schema.insert(schema.end(), part.begin(), part.end());
  return schema;
}

}  // namespace winnow
