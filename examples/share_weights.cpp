// One of two programs on the same weights: this one holds a checkpoint and lends it to others, which attach_weights then runs.
//   share_weights                             shares a checkpoint, runs attach_weights beside it, and ends with it
//   share_weights --socket PATH               shares until it is interrupted; in another terminal: attach_weights PATH
//   share_weights --checkpoint DIR ...        any BERT-family checkpoint instead of random weights
//   share_weights --copy ...                  in sealed memory instead of the checkpoint's own file
#include <cotenant/files/checkpoint.hpp>
#include <cotenant/ipc/tensor_exporter.hpp>
#include <cotenant/models/random_checkpoint.hpp>

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#if defined(__linux__)
#include <csignal>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
extern char** environ;
#endif

namespace ct = cotenant;

#if defined(__linux__)

// Every tensor of a checkpoint, under its name; handles only.
static std::vector<ct::NamedTensor> tensors_of(const ct::Checkpoint& checkpoint) {
  std::vector<ct::NamedTensor> tensors;
  for (const std::string_view name : checkpoint.names())
    if (const auto dtype = checkpoint.info(name).dtype)
      ct::with_element(*dtype, [&]<class T>(std::type_identity<T>) { tensors.emplace_back(std::string(name), checkpoint.tensor<T>(name)); });
  return tensors;
}

// Runs the other program, which lies beside this one, and waits for it.
static int run_beside(const std::string& name, std::string socket) {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  std::string program = (self.parent_path() / name).string();
  char* const arguments[] = {program.data(), socket.data(), nullptr};
  ::pid_t child = 0;
  int status = 0;
  if (::posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, environ) != 0 || ::waitpid(child, &status, 0) != child) return 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int run(int argc, char** argv) {
  std::filesystem::path folder, socket;
  ct::FileTensors file_tensors = ct::FileTensors::pass_on;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--checkpoint" && i + 1 < argc) folder = argv[++i];
    else if (argument == "--socket" && i + 1 < argc) socket = argv[++i];
    else if (argument == "--copy") file_tensors = ct::FileTensors::copy;
    else {
      std::fprintf(stderr, "usage: share_weights [--checkpoint DIR] [--socket PATH] [--copy]\n");
      return 2;
    }
  }
  if (folder.empty()) {
    folder = std::filesystem::temp_directory_path() / "cotenant-random-minilm";
    if (!std::filesystem::exists(folder / "config.json")) ct::write_random_checkpoint(folder);
  }
  const bool alone = !socket.empty();
  if (!alone) socket = std::filesystem::temp_directory_path() / ("cotenant-share-weights-" + std::to_string(::getpid()));

  // Interruptions are waited for below, and by no thread that is started from here on.
  ::sigset_t interruptions;
  ::sigemptyset(&interruptions);
  ::sigaddset(&interruptions, SIGINT);
  ::sigaddset(&interruptions, SIGTERM);
  if (alone) ::pthread_sigmask(SIG_BLOCK, &interruptions, nullptr);

  const ct::Checkpoint checkpoint = ct::Checkpoint::open(folder);
  ct::ExportOptions options{.label = "weights", .file_tensors = file_tensors};
  // Consumers open no file: what they need besides tensors goes along as text.
  for (const char* name : {"config.json", "vocab.txt"}) options.metadata[name] = ct::read_text_file(folder / name);
  options.on_change = [](const ct::Consumer& consumer, bool attached) {
    std::printf("share_weights: process %ld, '%s', %s\n", consumer.process, consumer.model.c_str(), attached ? "has attached" : "is gone");
    std::fflush(stdout);
  };
  const ct::TensorExporter exporter = ct::export_tensors(tensors_of(checkpoint), socket, options);
  const std::size_t count = exporter.local().tensors().size();
  std::printf("share_weights: process %ld lends %zu tensors of %s at %s\n", static_cast<long>(::getpid()), count, folder.c_str(), socket.c_str());
  std::fflush(stdout);
  if (!alone) return run_beside("attach_weights", socket.string());
  int signal = 0;
  ::sigwait(&interruptions, &signal);
  return 0;
}

#else
static int run(int, char**) {
  std::puts("sharing weights between processes needs Linux");
  return 0;
}
#endif

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "share_weights: %s\n", error.what());
    return 1;
  }
}
