#include "cotenant/vulkan/process.hpp"

#include <doctest/doctest.h>

#include "forked.hpp"

using cotenant::vulkan::Process;

TEST_CASE("the thread that ends the program is told, others are not") {
  CHECK_FALSE(Process::forked());
  CHECK_FALSE(Process::ended_by_this_thread());
  CHECK(cotenant::test::in_child([] {
    Process::end();
    bool other = true;
    std::thread([&] { other = Process::ended_by_this_thread(); }).join();
    return Process::ended_by_this_thread() && !other ? 7 : 8;
  }) == 7);
}
