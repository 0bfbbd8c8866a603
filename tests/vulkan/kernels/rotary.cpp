#include "cotenant/vulkan/kernels/rotary.hpp"

#include <vector>

#include "../test_device.hpp"
#include "cotenant/vulkan.hpp"

using namespace cotenant;

TEST_CASE("a quarter turn exchanges the halves, in place") {
  const test::Checked gpu;
  std::vector<float> values(2 * 3 * 16);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const auto cosine = test::to_device(gpu, std::vector<float>(3 * 8, 0)).reshape({3, 8}),
             sine = test::to_device(gpu, std::vector<float>(3 * 8, 1)).reshape({3, 8});
  for (const RotaryPairs pairs : {RotaryPairs::halves, RotaryPairs::neighbours}) {
    const auto x = test::to_device(gpu, values).reshape({2, 3, 16});
    rotary_into(x, x, cosine, sine, pairs);
    const auto y = test::to_host(x);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool first = pairs == RotaryPairs::halves ? i % 16 < 8 : i % 2 == 0;
      const std::size_t step = pairs == RotaryPairs::halves ? 8 : 1;
      CHECK(y[i] == (first ? -values[i + step] : values[i - step]));
    }
  }
}
