// BERT, a T5-shaped and a DistilBERT-shaped model in one program, with and without sharing; three fine-tuned checkpoints; a budget that is too small.
//   three_models [--small] [--folder DIR]
// The weights are random, of the published models' shapes: memory and time are theirs, the results mean nothing.
#include <cotenant/cotenant.hpp>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "multi_model/measure.hpp"
#include "three_models/checkpoints.hpp"
#include "three_models/t5.hpp"

namespace ct = cotenant;
using namespace example;

namespace {

void print(const char* name, double value) { std::printf("%s %.17g\n", name, value); }
template <class F> double median_of(std::size_t times, F f) {
  std::vector<double> measured;
  for (std::size_t i = 0; i < times; ++i) measured.push_back(milliseconds(f));
  return median(measured);
}

ct::SharedTensor<std::int32_t> some_ids(const Sizes& sizes) {
  constexpr std::size_t length = 128;
  ct::SharedTensor<std::int32_t> ids = ct::empty<std::int32_t>({1, length});
  for (std::size_t i = 0; i < length; ++i) ids.mutable_view()(0, i) = static_cast<std::int32_t>((i * 7919 + 101) % sizes.bert.vocabulary_size);
  return ids;
}

// Each model for itself: its own file, its own manager, and each embeds the text.
void separate(const std::filesystem::path& folder, const Sizes& sizes) {
  ct::TensorSharingManager managers[3];
  const auto open = [&](int index, const char* name) { return ct::Checkpoint::open(folder / name, managers[index], name); };
  const ct::Checkpoint t5_checkpoint = open(2, "t5");
  const auto bert = ct::Encoder<float>::open(open(0, "bert"), "bert"), distilbert = ct::Encoder<float>::open(open(1, "distilbert"), "distilbert");
  const T5Encoder t5(t5_checkpoint, "t5", sizes.t5_layers, sizes.t5_heads);
  const auto table = t5_checkpoint.lease<float>("shared.weight", "t5");
  const auto ids = some_ids(sizes);
  const auto request = [&] {
    static_cast<void>(bert.forward(ids));
    static_cast<void>(distilbert.forward(ids));
    static_cast<void>(t5.forward(ct::gather(table, ids.select(0, 0))));
  };
  request();
  print("request", median_of(5, request));
  print("embedding", median_of(5, [&] { static_cast<void>(bert.forward(ids)); }));
  std::size_t weights = 0;
  for (auto& manager : managers) {
    manager.optimize_memory();
    weights += manager.stats().true_bytes;
  }
  print("weights", static_cast<double>(weights));
  print("resident", static_cast<double>(resident_memory().total));
}

// One manager. DistilBERT's tensors are found to be BERT's; T5 reads BERT's embedding of the text in its own width.
void shared(const std::filesystem::path& folder, const Sizes& sizes) {
  ct::TensorSharingManager manager;
  const auto open = [&](const char* name) { return ct::Checkpoint::open(folder / name, manager, name); };
  const ct::Checkpoint t5_checkpoint = open("t5");
  const auto bert = ct::Encoder<float>::open(open("bert"), "bert"), distilbert = ct::Encoder<float>::open(open("distilbert"), "distilbert");
  const T5Encoder t5(t5_checkpoint, "t5", sizes.t5_layers, sizes.t5_heads);
  const auto ids = some_ids(sizes);
  manager.set_form("text_embedding", "t5", {.projection = ct::projection(t5_checkpoint.lease<float>("from_bert.weight", "t5"))});
  const auto publish = [&] {
    manager.release("text_embedding", "bert");
    manager.forget("text_embedding");
    manager.register_tensor("text_embedding", bert.forward(ids).last_hidden_state.select(0, 0), {.producer = "bert"});
    const ct::ShareResult result = manager.share("text_embedding", "bert", {"t5", "search"});
    if (result.consumers.at("t5").status != ct::ShareStatus::adapted) ct::raise<ct::InvalidArgument>("t5 cannot use the embedding: " + result.consumers.at("t5").how);
  };
  const auto request = [&] {
    publish();
    static_cast<void>(distilbert.forward(ids));
    static_cast<void>(t5.forward(*manager.get<float>("text_embedding", "t5")));
  };
  request();
  print("request", median_of(5, request));
  std::vector<double> first, again, lease;
  for (int round = 0; round < 20; ++round) {
    publish();
    first.push_back(milliseconds([&] { static_cast<void>(manager.get<float>("text_embedding", "t5")); }));
    again.push_back(milliseconds([&] { static_cast<void>(manager.get<float>("text_embedding", "t5")); }));
  }
  for (int round = 0; round < 1000; ++round) lease.push_back(milliseconds([&] { static_cast<void>(manager.get<float>("text_embedding", "search")); }));
  print("embedding", median(lease));
  print("adapted_first", median(first));
  print("adapted_again", median(again));
  manager.optimize_memory();  // T5's own table, which nobody leases
  print("weights", static_cast<double>(manager.stats().true_bytes));
  print("resident", static_cast<double>(resident_memory().total));
}

// Checkpoints opened with one manager, and every tensor of each read.
void fine_tuned(const std::filesystem::path& folder, int count) {
  ct::TensorSharingManager manager;
  std::vector<ct::Checkpoint> checkpoints;
  std::vector<ct::Lease<float, ct::Mapped>> leases;
  double sum = 0;
  for (int i = 0; i < count; ++i) {
    const std::string name = "tuned" + std::to_string(i);
    checkpoints.push_back(ct::Checkpoint::open(folder / name, manager, name));
    for (std::string_view tensor : checkpoints.back().names()) {
      leases.push_back(checkpoints.back().lease<float>(tensor, name));
      for (float value : leases.back()->view().span()) sum += static_cast<double>(value);
    }
  }
  print("sum", sum);
  print("weights", static_cast<double>(manager.stats().true_bytes));
  print("resident", static_cast<double>(resident_memory().total));
}

// Every matrix of a checkpoint, as copies that must be spilled to a folder when they do not fit; three rounds of products, each of
// the result before. percent: the budget, of all bytes; 100 needs no eviction.
void budgeted(const std::filesystem::path& folder, std::size_t percent) {
  const ct::Checkpoint checkpoint = ct::Checkpoint::open(folder / "tuned0");
  std::vector<std::string> names;
  std::size_t bytes = 0;
  for (std::string_view name : checkpoint.names())
    if (name.starts_with("encoder.") && checkpoint.shape(name).rank() == 2) {
      names.emplace_back(name);
      bytes += ct::HeapCache::padded(ct::element_count(checkpoint.shape(name)) * sizeof(float));
    }
  const std::filesystem::path store = folder / ("spill" + std::to_string(percent));
  double result = 0, time = 0;
  std::size_t over = 0, samples = 0, budget = bytes * percent / 100;
  {
    ct::TensorSharingManager manager{{.max_memory = budget, .spill = std::make_shared<ct::StoreSpill>(store)}};
    std::atomic<bool> end{false};
    std::thread sampler([&] {
      while (!end) {
        over += manager.stats().true_bytes > budget;
        ++samples;
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    });
    for (const std::string& name : names) manager.register_tensor(name, checkpoint.tensor<float>(name).copy_to<ct::Heap>());
    time = milliseconds([&] {
      for (int round = 0; round < 3; ++round)
        for (const std::string& name : names) {
          const auto weight = manager.get<float>(name, "m");
          auto row = ct::full<float>({1, weight->shape(1)}, static_cast<float>(result));
          for (std::size_t i = 0; i < row.size(); i += 3) row.mutable_view()(0, i) = 1;
          const auto product = ct::matmul(row, weight->transpose());
          for (float value : product.view().span()) result = result * 0.5 + static_cast<double>(value);
        }
    });
    end = true;
    sampler.join();
    print("peak", static_cast<double>(manager.stats().peak_bytes));
    print("reloads", static_cast<double>(manager.stats().reloads));
  }
  std::filesystem::remove_all(store);
  print("bytes", static_cast<double>(bytes));
  print("budget", static_cast<double>(budget));
  print("over", static_cast<double>(over));
  print("samples", static_cast<double>(samples));
  print("time", time);
  print("result", result);
}

std::string ratio(double a, double b) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", a / b);
  return text;
}

int run(int argc, char** argv) {
  bool small = false;
  std::string measure;
  std::filesystem::path folder;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--small") small = true;
    else if (argument == "--folder" && i + 1 < argc) folder = argv[++i];
    else if (argument == "--measure" && i + 1 < argc) measure = argv[++i];
    else {
      std::cerr << "usage: three_models [--small] [--folder DIR]\n";
      return 2;
    }
  }
  const Sizes sizes = small ? small_sizes() : published_sizes();
  if (folder.empty()) folder = std::filesystem::temp_directory_path() / (small ? "cotenant-three-models-small" : "cotenant-three-models");
  if (measure == "write") return write_all(folder, sizes), 0;
  if (measure == "separate") return separate(folder, sizes), 0;
  if (measure == "shared") return shared(folder, sizes), 0;
  if (measure == "one") return fine_tuned(folder, 1), 0;
  if (measure == "three") return fine_tuned(folder, 3), 0;
  if (measure == "all") return budgeted(folder, 100), 0;
  if (measure == "some") return budgeted(folder, 60), 0;

  if (!std::filesystem::exists(folder / "complete")) std::printf("Writing checkpoints to %s ...\n", folder.string().c_str());
  std::fflush(stdout);
  const auto child = [&](const char* what) {
    std::vector<std::string> arguments{"--measure", what, "--folder", folder.string()};
    if (small) arguments.push_back("--small");
    return run_child(arguments);
  };
  static_cast<void>(child("write"));
  Figures separate_figures = child("separate"), shared_figures = child("shared"), one = child("one"), three = child("three"), all = child("all"), some = child("some");
  for (const Figures* figures : {&separate_figures, &shared_figures, &one, &three, &all, &some})
    if (figures->empty()) {
      std::cerr << "three_models: a measuring child failed, or this system has none\n";
      return 1;
    }
  const auto row = [](const std::string& title, const std::string& a, const std::string& b, const std::string& c) {
    std::printf("| %s | %s | %s | %s |\n", title.c_str(), a.c_str(), b.c_str(), c.c_str());
  };
  std::printf("\n| BERT, DistilBERT- and T5-shaped models | separate | sharing | ratio |\n|---|---|---|---|\n");
  row("resident memory", mebibytes(separate_figures["resident"]), mebibytes(shared_figures["resident"]), ratio(shared_figures["resident"], separate_figures["resident"]));
  row("weights, as the managers count them", mebibytes(separate_figures["weights"]), mebibytes(shared_figures["weights"]),
      ratio(shared_figures["weights"], separate_figures["weights"]));
  row("a request to all three, 128 tokens", time_text(separate_figures["request"]), time_text(shared_figures["request"]),
      ratio(shared_figures["request"], separate_figures["request"]));
  row("the text's embedding, for one more consumer", time_text(separate_figures["embedding"]), time_text(shared_figures["embedding"]),
      ratio(shared_figures["embedding"], separate_figures["embedding"]));
  row("the same in T5's width (projected), first / again", "", time_text(shared_figures["adapted_first"]) + " / " + time_text(shared_figures["adapted_again"]), "");
  std::printf("\n| three fine-tuned checkpoints, 80 %% of their tensors equal | one | three | ratio |\n|---|---|---|---|\n");
  row("resident memory", mebibytes(one["resident"]), mebibytes(three["resident"]), ratio(three["resident"], one["resident"]));
  row("weights, as the manager counts them", mebibytes(one["weights"]), mebibytes(three["weights"]), ratio(three["weights"], one["weights"]));
  std::printf("\n| a budget of 60 %% of the working set | all of it | 60 %% | ratio |\n|---|---|---|---|\n");
  row("largest memory", mebibytes(all["peak"]), mebibytes(some["peak"]), ratio(some["peak"], all["peak"]));
  row("three rounds over all matrices", time_text(all["time"]), time_text(some["time"]), ratio(some["time"], all["time"]));
  const bool same = all["result"] == some["result"], within = some["over"] == 0 && some["peak"] <= some["budget"];
  std::printf("\nThe results are %s; %.0f reloads; within the budget at %.0f of %.0f samples.\n", same ? "equal to the last bit" : "DIFFERENT", some["reloads"],
              some["samples"] - some["over"], some["samples"]);
  const bool few = three["weights"] <= 1.25 * one["weights"];
  return same && within && few ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "three_models: " << error.what() << "\n";
    return 1;
  }
}
