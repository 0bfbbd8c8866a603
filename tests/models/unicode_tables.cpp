#include "cotenant/models/unicode_tables.hpp"

#include <doctest/doctest.h>

#include <iterator>

using namespace cotenant;

namespace {
template <class Row, std::size_t Count> void check_ranges(const Row (&table)[Count]) {
  for (std::size_t i = 0; i < Count; ++i) {
    CHECK(table[i].first <= table[i].last);
    if (i > 0) CHECK(table[i - 1].last < table[i].first);
  }
}
}  // namespace

// Their content is checked against Hugging Face's for every code point in tests/models/wordpiece.cpp.
TEST_CASE("unicode_tables: sorted and apart, as the binary searches need them") {
  check_ranges(unicode::nonspacing_marks);
  check_ranges(unicode::punctuation);
  check_ranges(unicode::removed);
  check_ranges(unicode::spaces);
  check_ranges(unicode::lower_case);
  check_ranges(unicode::combining_classes);
}

TEST_CASE("unicode_tables: decompositions lie inside their pool") {
  char32_t before = 0;
  for (const unicode::Decomposition& row : unicode::decompositions) {
    CHECK(row.code_point > before);
    CHECK(row.length > 0);
    CHECK(static_cast<std::size_t>(row.begin) + row.length <= std::size(unicode::decomposition_pool));
    before = row.code_point;
  }
  for (const unicode::CaseRange& row : unicode::lower_case) CHECK(row.step > 0);
}
