#include "cotenant/vulkan/instance.hpp"

#include <doctest/doctest.h>

#include "../error_text.hpp"

namespace vk = cotenant::vulkan;

TEST_CASE("devices are chosen by index, by a part of the name in any case, or as the best one") {
  const auto instance = vk::Instance::get(false, false, false);
  CHECK(instance == vk::Instance::get(false, false, false));
  const auto all = instance->devices();
  REQUIRE(!all.empty());
  const std::string name = vk::Instance::properties(all[0]).deviceName;
  std::string part = name.substr(0, 4);
  for (char& c : part) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  CHECK(instance->choose("0") == all[0]);
  CHECK(instance->choose(part) == all[0]);
  CHECK(instance->choose(name) == all[0]);
  static_cast<void>(instance->choose(""));
}

TEST_CASE("a device that is not there is an error that lists those that are") {
  const auto instance = vk::Instance::get(false, false, false);
  const std::string name = vk::Instance::properties(instance->devices()[0]).deviceName;
  for (const char* wanted : {"no such device", "99", "12345678901234567890"}) {
    const std::string text = cotenant::test::message([&] { static_cast<void>(instance->choose(wanted)); });
    CHECK(cotenant::test::has(text, "not_found"));
    CHECK(cotenant::test::has(text, wanted));
    CHECK(cotenant::test::has(text, name));
  }
}

TEST_CASE("messages are counted, and the first are kept") {
  vk::Messages messages;
  for (int i = 0; i < 100; ++i) messages.add("something is wrong", false);
  CHECK(messages.count() == 100);
  CHECK(messages.texts().size() == 32);
  CHECK(messages.texts()[0] == "something is wrong");
}
