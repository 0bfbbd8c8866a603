// NamedArena: published under a name, attached by it, gone with its object while those who attached keep the memory.
#include "cotenant/ipc/named_arena.hpp"

#include "support.hpp"

#if defined(__linux__)

using namespace ipc_tests;

TEST_CASE("another process attaches by name") {
  const std::string name = "/cotenant-test-" + std::to_string(::getpid()) + "-published";
  Child child([&](const Child::Talk& talk) {
    talk.hear();
    const ct::AttachedTensors attached = ct::attach_named(name);
    const auto tensor = attached.tensor<float>("weights").transpose();
    talk.say('a');
    talk.hear();  // the arena has gone meanwhile
    return tensor.view()(2, 1) == 5.0f && attached.metadata().at("a") == "b" && attached.producer_process() == 0 ? 0 : 1;
  });
  {
    const ct::NamedArena arena(name, {{"weights", ramp({2, 3})}}, {{"a", "b"}});
    CHECK(arena.name() == name);
    CHECK(arena.bytes() > 64 + 24);
    CHECK_THROWS_AS(ct::NamedArena(name, {}), ct::AlreadyRegistered);
    child.talk().say('g');
    REQUIRE(child.talk().hear() == 'a');
  }
  CHECK_THROWS_AS(static_cast<void>(ct::attach_named(name)), ct::NotFound);
  child.talk().say('q');
  CHECK(child.wait() == 0);
}

TEST_CASE("a name is needed") { CHECK_THROWS_AS(ct::NamedArena("", {}), ct::InvalidArgument); }

#endif
