// caches(): the machine's own sizes, or those of a small machine.
#include "cotenant/cpu/caches.hpp"

#include <doctest/doctest.h>

TEST_CASE("the caches have sizes that grow from level to level, and are asked for once") {
  const auto& caches = cotenant::cpu::caches();
  CHECK(caches.level1 >= 4 << 10);
  CHECK(caches.level2 >= caches.level1);
  CHECK(caches.level3 >= caches.level2);
  CHECK(&cotenant::cpu::caches() == &caches);
  const auto machine = cotenant::machine_capabilities();
  if (machine.level2_cache != 0) CHECK(caches.level2 == machine.level2_cache);
}
