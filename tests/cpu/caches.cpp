// caches(): the machine's own sizes, or those of a small machine; and results that no cache holds, which are written past them.
#include <cotenant/cpu/cpu.hpp>
#include <cotenant/ops/map.hpp>
#include <cotenant/ops/quantize.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>

namespace cotenant::test {

TEST_CASE("the caches have sizes that grow from level to level, and are asked for once") {
  const auto& caches = cpu::caches();
  CHECK(caches.level1 >= 4 << 10);
  CHECK(caches.level2 >= caches.level1);
  CHECK(caches.level3 >= caches.level2);
  CHECK(&cpu::caches() == &caches);
  const auto machine = machine_capabilities();
  if (machine.level2_cache != 0) CHECK(caches.level2 == machine.level2_cache);
}

TEST_CASE("only what is larger than the last cache is written past the caches") {
  CHECK(!cpu::exceeds_caches(0));
  CHECK(!cpu::exceeds_caches(cpu::caches().level3));
  CHECK(cpu::exceeds_caches(cpu::caches().level3 + (std::size_t{1} << 20) + 1));
}

TEST_CASE("results larger than the caches: the same values as small ones, at every address") {
  // Up to 64 MiB of last cache; where it is larger these go the usual way.
  const std::size_t count = std::min<std::size_t>(cpu::caches().level3, std::size_t{64} << 20) / 5 + 100'003;
  auto whole = empty<float>({count + 1});
  float* const values = whole.mutable_view().data();
  for (std::size_t i = 0; i <= count; ++i) values[i] = static_cast<float>(i % 2003) / 1000 - 1;
  const auto scale = from(std::vector<float>{1.0f / 127}, {});
  // From element 0, which is aligned, and from element 1, which is not.
  for (const std::ptrdiff_t first : {0, 1}) {
    const auto x = whole.slice(0, first, static_cast<std::ptrdiff_t>(count));
    const auto q_whole = zeros<std::int8_t>({count + 1});
    const auto q = q_whole.slice(0, first, static_cast<std::ptrdiff_t>(count));
    quantize_into(q, x, scale);
    const auto y_whole = zeros<float>({count + 1});
    const auto y = y_whole.slice(0, first, static_cast<std::ptrdiff_t>(count));
    dequantize_into(y, q, scale);
    const std::size_t n = count - static_cast<std::size_t>(first);
    const float *from = x.view().data(), *back = y.view().data();
    const std::int8_t* integers = q.view().data();
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < n; ++i)
      wrong += integers[i] != std::max(-127.f, std::min(127.f, std::nearbyint(from[i] / (1.0f / 127)))) || back[i] != static_cast<float>(integers[i]) * (1.0f / 127);
    CHECK(wrong == 0);
    // What lies beside the result stays.
    if (first == 0) CHECK((q_whole.view()(count) == 0 && y_whole.view()(count) == 0.f));
    else CHECK((q_whole.view()(0) == 0 && y_whole.view()(0) == 0.f));
    map_into(y, [](auto v) { return v + v; }, x);
    wrong = 0;
    for (std::size_t i = 0; i < n; ++i) wrong += back[i] != from[i] + from[i];
    CHECK(wrong == 0);
  }
}

}  // namespace cotenant::test
