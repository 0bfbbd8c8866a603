// The order of costs that victims are chosen by.
#include "cotenant/share/reload_cost.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <initializer_list>

using namespace cotenant::detail;

TEST_CASE("what is cheap to have again costs less, whatever the size") {
  for (std::size_t bytes : {std::size_t{4096}, std::size_t{1} << 20, std::size_t{1} << 30}) {
    const double mapped = reload_seconds(bytes, true, false, false), spilled = reload_seconds(bytes, false, true, false), dirty = reload_seconds(bytes, false, false, false),
                 gone = reload_seconds(bytes, false, false, true);
    CHECK(mapped < spilled);
    CHECK(spilled < dirty);
    CHECK(dirty < gone);
    CHECK(derive_seconds(bytes) < gone);
    CHECK(derive_seconds(2 * bytes) > derive_seconds(bytes));
  }
}
