// TensorExporter: any number of consumers, in this and in other processes, however either side ends.
#include "cotenant/ipc/tensor_exporter.hpp"

#include "support.hpp"

#if defined(__linux__)
#include <fcntl.h>
#include <sys/resource.h>

#include <atomic>
#include <ctime>
#include <optional>

using namespace ipc_tests;
using namespace cotenant::detail;

namespace {

constexpr std::size_t weight_count = 1 << 16;

std::vector<ct::NamedTensor> weights() { return {{"weights", ramp({weight_count})}, {"bias", ramp({7}, 100)}}; }
// Whether every element is what weights() made.
bool are_right(const ct::AttachedTensors& attached) {
  const auto tensor = attached.tensor<float>("weights");
  for (std::size_t i = 0; i < weight_count; ++i)
    if (tensor.view()(i) != static_cast<float>(i)) return false;
  return attached.tensor<float>("bias").view()(6) == 106.0f;
}
ct::Descriptor connect_raw(const std::filesystem::path& path) { return connect_to(path, std::chrono::steady_clock::now() + std::chrono::seconds(5), false); }
// Whether the other end hangs up, within some seconds.
bool hangs_up(const ct::Descriptor& socket) {
  return receive_message(socket, std::chrono::steady_clock::now() + std::chrono::seconds(5)).outcome == Received::Outcome::closed;
}

}  // namespace

TEST_CASE("a consumer of another process has the tensors, is known, and is missed when it goes") {
  const TemporaryFolder folder;
  const auto path = folder / "socket";
  Child child([&](const Child::Talk& talk) {
    const ct::AttachedTensors attached = ct::attach(path, {.model = "reader", .wait_for_producer = true});
    const bool right = are_right(attached) && attached.metadata().at("config.json") == "{}" && attached.producer_is_alive();
    talk.say('a');
    talk.hear();
    return right ? 0 : 1;
  });
  std::vector<std::string> changes;
  std::mutex mutex;
  {
    const auto on_change = [&](const ct::Consumer& consumer, bool attached) {
      const std::lock_guard lock(mutex);
      changes.push_back((attached ? "+" : "-") + consumer.model);
    };
    const ct::TensorExporter exporter = ct::export_tensors(weights(), path, {.metadata = {{"config.json", "{}"}}, .on_change = on_change});
    REQUIRE(child.talk().hear() == 'a');
    const std::vector<ct::Consumer> consumers = exporter.consumers();
    REQUIRE(consumers.size() == 1);
    CHECK(consumers[0].model == "reader");
    CHECK(consumers[0].process == child.process());
    CHECK(consumers[0].user == static_cast<long>(::geteuid()));
    child.talk().say('q');
    CHECK(child.wait() == 0);
    CHECK(becomes_true([&] { return exporter.consumer_count() == 0; }));
    CHECK(are_right(exporter.local()));
  }
  CHECK(changes == std::vector<std::string>{"+reader", "-reader"});
}

TEST_CASE("tensors stay when their producer is killed; so does nothing else, and the next producer takes over") {
  const TemporaryFolder folder;
  const auto path = folder / "socket";
  const auto produce = [&](const Child::Talk& talk) {
    const ct::TensorExporter exporter = ct::export_tensors(weights(), path, {.label = "cotenant-test-killed"});
    talk.say('r');
    talk.hear();
    return 0;
  };
  std::optional<Child> producer(std::in_place, produce);
  REQUIRE(producer->talk().hear() == 'r');
  std::optional<ct::AttachedTensors> attached = ct::attach(path);
  CHECK(attached->producer_process() == producer->process());
  CHECK(attached->producer_is_alive());
  {
    // Readers are at it while the producer dies.
    std::atomic<bool> stop{false}, right{true};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) readers.emplace_back([&] { while (!stop) right = right && are_right(*attached); });
    CHECK(producer->kill() == -SIGKILL);
    CHECK(becomes_true([&] { return !attached->producer_is_alive(); }));
    stop = true;
    for (std::thread& reader : readers) reader.join();
    CHECK(right);
  }
  CHECK(are_right(*attached));
  CHECK_THROWS_AS(static_cast<void>(ct::attach(path)), ct::NotFound);
  producer.emplace(produce);
  REQUIRE(producer->talk().hear() == 'r');
  CHECK(are_right(ct::attach(path)));
  auto tensor = attached->tensor<float>("weights");
  attached.reset();
  CHECK(maps_with("cotenant-test-killed") == 1);
  CHECK(tensor.view()(weight_count - 1) == static_cast<float>(weight_count - 1));
  tensor = {};
  CHECK(maps_with("cotenant-test-killed") == 0);
  producer->talk().say('q');
  CHECK(producer->wait() == 0);
}

TEST_CASE("a killed consumer is noticed, and the others do not notice") {
  const TemporaryFolder folder;
  const auto path = folder / "socket";
  const auto consume = [&](const Child::Talk& talk) {
    const ct::AttachedTensors attached = ct::attach(path, {.wait_for_producer = true});
    talk.say('a');
    talk.hear();
    return are_right(attached) ? 0 : 1;
  };
  Child first(consume), second(consume);
  const ct::TensorExporter exporter = ct::export_tensors(weights(), path);
  REQUIRE(first.talk().hear() == 'a');
  REQUIRE(second.talk().hear() == 'a');
  CHECK(exporter.consumer_count() == 2);
  CHECK(first.kill() == -SIGKILL);
  CHECK(becomes_true([&] { return exporter.consumer_count() == 1; }));
  CHECK(exporter.consumers()[0].process == second.process());
  second.talk().say('q');
  CHECK(second.wait() == 0);
}

TEST_CASE("the connection lasts as long as any tensor, and the tensors longer than the exporter") {
  const TemporaryFolder folder;
  ct::SharedTensor<float, ct::SharedMemory> tensor;
  {
    ct::TensorExporter exporter = ct::export_tensors(weights(), folder / "socket");
    tensor = ct::attach(exporter.path()).tensor<float>("weights").slice(0, 5, 10);
    CHECK(exporter.consumer_count() == 1);
    tensor = {};
    CHECK(becomes_true([&] { return exporter.consumer_count() == 0; }));
    tensor = ct::attach(exporter.path()).tensor<float>("bias");
    ct::TensorExporter other = ct::export_tensors(weights(), folder / "other");
    other = std::move(exporter);
    CHECK(other.consumer_count() == 1);
  }
  CHECK(tensor.view()(6) == 106.0f);
  CHECK_THROWS_AS(static_cast<void>(ct::attach(folder / "socket")), ct::NotFound);
}

TEST_CASE("a hundred times attached and detached leaves no descriptor and no map") {
  const TemporaryFolder folder;
  const std::size_t before = open_descriptors();
  {
    const ct::TensorExporter exporter = ct::export_tensors(weights(), folder / "socket", {.label = "cotenant-test-cycles"});
    const std::size_t serving = open_descriptors();
    for (int i = 0; i < 100; ++i) {
      const ct::AttachedTensors attached = ct::attach(exporter.path());
      CHECK(attached.tensor<float>("bias").view()(0) == 100.0f);
    }
    CHECK(becomes_true([&] { return exporter.consumer_count() == 0; }));
    CHECK(becomes_true([&] { return open_descriptors() == serving; }));
    CHECK(maps_with("cotenant-test-cycles") == 1);  // local()
  }
  CHECK(open_descriptors() == before);
  CHECK(maps_with("cotenant-test-cycles") == 0);
}

TEST_CASE("consumers come from many threads at once") {
  const TemporaryFolder folder;
  const ct::TensorExporter exporter = ct::export_tensors(weights(), folder / "socket");
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int turn = 0; turn < 5; ++turn) right += are_right(ct::attach(exporter.path()));
      static_cast<void>(exporter.consumers());
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 40);
  CHECK(becomes_true([&] { return exporter.consumer_count() == 0; }));
}

TEST_CASE("more consumers than allowed are refused with a reason, until one has gone") {
  const TemporaryFolder folder;
  const ct::TensorExporter exporter = ct::export_tensors(weights(), folder / "socket", {.max_consumers = 2});
  const ct::AttachedTensors first = ct::attach(exporter.path());
  {
    const ct::AttachedTensors second = ct::attach(exporter.path());
    CHECK_THROWS_WITH_AS(static_cast<void>(ct::attach(exporter.path())), doctest::Contains("at most 2"), ct::IoError);
    CHECK(exporter.consumer_count() == 2);
  }
  CHECK(becomes_true([&] { return exporter.consumer_count() == 1; }));
  CHECK(are_right(ct::attach(exporter.path())));
}

TEST_CASE("visitors that talk nonsense, too much or not at all are sent away, and delay nobody") {
  const TemporaryFolder folder;
  const ct::TensorExporter exporter = ct::export_tensors(weights(), folder / "socket", {.greeting_timeout = std::chrono::milliseconds(300)});
  const auto path = exporter.path();
  // As many silent ones as there is room for: a consumer waits for them no longer than their time.
  std::vector<ct::Descriptor> silent;
  for (int i = 0; i < 70; ++i) silent.push_back(connect_raw(path));
  CHECK(are_right(ct::attach(path)));
  for (const ct::Descriptor& socket : silent) CHECK(hangs_up(socket));
  for (const std::string& nonsense :
       {std::string("x"), std::string("GET / HTTP/1.1\r\n\r\n"), std::string(max_message_bytes + 1, 'x'), std::string("cotenant")}) {
    const ct::Descriptor socket = connect_raw(path);
    CHECK(send_message(socket, nonsense));
    CHECK(hangs_up(socket));
  }
  // Another version is told so.
  const ct::Descriptor other = connect_raw(path);
  CHECK(send_message(other, write_hello({9, "future"})));
  const Received answer = receive_message(other, std::chrono::steady_clock::now() + std::chrono::seconds(5));
  CHECK(read_welcome(answer.message, "it").reason.find("version 9") != std::string::npos);
  CHECK(answer.descriptors.empty());
  // Descriptors are not taken, and who has attached has nothing more to say.
  const ct::Descriptor chatty = connect_raw(path);
  const std::size_t before = open_descriptors();
  CHECK(send_message(chatty, write_hello({handshake_version, "chatty"}), {chatty.number(), chatty.number()}));
  CHECK(becomes_true([&] { return exporter.consumer_count() == 1; }));
  CHECK(open_descriptors() <= before + 1);  // the exporter's end of this connection may have come since, the two that were sent have not
  CHECK(send_message(chatty, "and another thing"));
  CHECK(becomes_true([&] { return exporter.consumer_count() == 0; }));
  // One that hangs up before it is answered.
  for (int i = 0; i < 10; ++i) CHECK(send_message(connect_raw(path), write_hello({handshake_version, "gone"})));
  CHECK(becomes_true([&] { return exporter.consumer_count() == 0; }));
  CHECK(are_right(ct::attach(path)));
}

TEST_CASE("an exporter without descriptors left waits instead of spinning, and goes on when it has some") {
  const TemporaryFolder folder;
  const ct::TensorExporter exporter = ct::export_tensors(weights(), folder / "socket");
  const ct::Descriptor visitor = make_socket();
  ::rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const ::rlimit none{static_cast<::rlim_t>(visitor.number()), limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const int failed = try_connect(visitor, socket_address(exporter.path()));
  ::timespec begin{}, end{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(failed == 0);
  // Six attempts, one every 50 ms; a loop that spins would take all of the time.
  CHECK(static_cast<double>(end.tv_sec - begin.tv_sec) + static_cast<double>(end.tv_nsec - begin.tv_nsec) * 1e-9 < 0.15);
  CHECK(send_message(visitor, write_hello({handshake_version, "patient"})));
  CHECK(becomes_true([&] { return exporter.consumer_count() == 1; }));
}

TEST_CASE("one path has one exporter, and a failed one takes nothing away") {
  const TemporaryFolder folder;
  const auto path = folder / "socket";
  {
    const ct::TensorExporter exporter = ct::export_tensors(weights(), path);
    CHECK_THROWS_AS(static_cast<void>(ct::export_tensors(weights(), path)), ct::AlreadyRegistered);
    CHECK(are_right(ct::attach(path)));
  }
  CHECK(std::filesystem::is_empty(folder.path()));
  const auto tensor = ramp({4});
  CHECK_THROWS_AS(static_cast<void>(ct::export_tensors({{"a", tensor}, {"a", tensor}}, path)), ct::InvalidArgument);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("other users are turned away by either side") {
  // Only root can become somebody else.
  if (::geteuid() != 0) return;
  const TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::all);
  const auto path = folder / "socket";
  const auto as_nobody = [&](const Child::Talk& talk) {
    if (::setuid(65534) != 0) return 9;
    talk.hear();
    int failures = 0;
    const auto code = [&](bool other_users) {
      try {
        return are_right(ct::attach(path, {.other_users = other_users})) ? 'y' : 'w';
      } catch (const ct::Error& error) {
        return error.code() == ct::ErrorCode::io ? 'i' : '?';
      }
    };
    talk.say(code(false));
    talk.say(code(true));
    return failures;
  };
  Child first(as_nobody), second(as_nobody);
  {
    const ct::TensorExporter exporter = ct::export_tensors(weights(), path);
    first.talk().say('g');
    CHECK(first.talk().hear() == 'i');
    CHECK(first.talk().hear() == 'i');  // by the socket's permissions
    // By its credentials, where the permissions were opened.
    std::filesystem::permissions(path, std::filesystem::perms::all);
  }
  const ct::TensorExporter exporter = ct::export_tensors(weights(), path, {.other_users = true});
  second.talk().say('g');
  CHECK(second.talk().hear() == 'i');  // the consumer does not trust it
  CHECK(second.talk().hear() == 'y');
}

#else

TEST_CASE("exporting says that it needs Linux") { CHECK_THROWS_AS(static_cast<void>(cotenant::export_tensors({}, "/tmp/x")), cotenant::Unsupported); }

#endif
