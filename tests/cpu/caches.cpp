// caches(): the machine's own sizes, or those of a small machine; and results that no cache holds, which are written past them.
#include <cotenant/cpu/cpu.hpp>
#include <cotenant/ops/map.hpp>
#include <cotenant/ops/quantize.hpp>
#include <cotenant/ops/softmax.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
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

TEST_CASE("softmax of more than the caches hold: what its rows give alone, whichever comes first") {
  // Rows that begin at whole vectors, and rows that do not; of several blocks with an end, and of one block.
  for (const std::size_t length : {std::size_t{9024}, std::size_t{9001}, std::size_t{1000}}) {
    const std::size_t rows = cpu::caches().level3 / sizeof(float) / length + 3;
    if (rows * length > std::size_t{1} << 26) return;  // a machine with a very large cache
    auto x = empty<float>({rows, length});
    float* const values = x.mutable_view().data();
    for (std::size_t i = 0; i < rows * length; ++i) values[i] = static_cast<float>(i * 37 % 1009) / 100 - 5;
    const float infinity = std::numeric_limits<float>::infinity();
    const auto row = [&](std::size_t i) { return values + i * length; };
    for (std::size_t i = 0; i < length; ++i) row(1)[i] += static_cast<float>(i / 300) * 12;      // weights grow far beyond the first ones
    for (std::size_t i = 0; i < length; ++i) row(2)[i] -= static_cast<float>(i / 300) * 12;      // or shrink
    std::fill_n(row(3), length * 9 / 10, -infinity);                                             // a hidden beginning
    for (std::size_t i = length * 9 / 10; i < length; ++i) row(3)[i] -= 1000;
    std::fill_n(row(4), length, -infinity);
    row(5)[length / 2] = std::numeric_limits<float>::quiet_NaN();
    row(6)[length - 1] = infinity;
    row(7)[length - 1] = 3e38f;
    const auto compare = [&](const auto& f, const char* name) {
      CAPTURE(name);
      CAPTURE(length);
      const auto all = f(x), later = f(x.slice(0, 1, static_cast<std::ptrdiff_t>(rows)));
      CHECK(std::memcmp(all.view().data() + length, later.view().data(), (rows - 1) * length * sizeof(float)) == 0);
      for (std::size_t i = 0; i < rows; i += i < 10 ? 1 : rows / 7) {
        const auto alone = f(x.slice(0, static_cast<std::ptrdiff_t>(i), static_cast<std::ptrdiff_t>(i + 1)));
        std::size_t wrong = 0;
        for (std::size_t j = 0; j < length; ++j) {
          const float expected = alone.view().data()[j], actual = all.view().data()[i * length + j];
          const bool same = std::isnan(expected) ? std::isnan(actual) : actual == expected || std::abs(actual - expected) <= 1e-6f * std::abs(expected) + 1e-20f;
          wrong += !same;
        }
        CAPTURE(i);
        CHECK(wrong == 0);
      }
    };
    compare([](const auto& t) { return softmax(t); }, "softmax");
    compare([](const auto& t) { return log_softmax(t); }, "log_softmax");
  }
}

}  // namespace cotenant::test
