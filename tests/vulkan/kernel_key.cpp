#include "cotenant/vulkan/kernel_key.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

using cotenant::vulkan::KernelKey;

TEST_CASE("a kernel's key is made of characters and whole numbers") {
  KernelKey key("product ", std::uint32_t{128}, 'x', std::size_t{64});
  CHECK(key.view() == "product 128x64");
  key.append(" shift ", -3, ' ').append(std::string("f16"));
  CHECK(std::string_view(key) == "product 128x64 shift -3 f16");
  CHECK(KernelKey().view().empty());
  CHECK(key == KernelKey("product 128x64 shift -3 f16"));
  CHECK(key != KernelKey("product"));
}

TEST_CASE("a kernel's key may be of any length, and a copy has it all") {
  std::string expected;
  KernelKey key;
  for (int i = 0; i < 300; ++i) {
    const std::string part = "mul(a" + std::to_string(i) + ",";
    expected += part;
    key.append("mul(a", i, ',');
    const KernelKey copy = key;
    REQUIRE(copy.view() == expected);
  }
  KernelKey exact;
  exact.append(std::string(384, 'x'));
  CHECK(exact.view() == std::string(384, 'x'));
  exact.append("", 'y');
  CHECK(exact.view() == std::string(384, 'x') + "y");
}

TEST_CASE("the op of a key has the name that users call it by") {
  using cotenant::vulkan::operation_of;
  CHECK(operation_of("product simt 32x32x16 loop 64 f32 sd") == "matmul");
  CHECK(operation_of("attention coop 64 16") == "attention");
  CHECK(operation_of("log_softmax2 f32 f32 axes1") == "log_softmax");
  CHECK(operation_of("custom main 120 7") == "a custom kernel");
  CHECK(operation_of("map") == "map");
}
