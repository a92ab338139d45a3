"""What a type checker must report, line for line: each line that is marked, and no other."""

import arraynn as nn

nn.Sofmax()  # wrong
nn.Dense("64")  # wrong
nn.Dense(64, activation="relu")  # wrong
nn.Dense()  # wrong
nn.Adam(lr=0.01)  # wrong
nn.Dropout(rate="a half")  # wrong
nn.Sequential([nn.Dense(3)])  # wrong
nn.Sequential(nn.Dense(3), "relu")  # wrong
nn.relu([1.0, 2.0])  # wrong
nn.dense(1.0, 2.0, 3.0)  # wrong
nn.Model(nn.Dense(3)).compile()  # wrong
nn.Model(nn.Sequential(nn.Dense(3)), optimiser="adam")  # wrong
nn.EarlyStopping(patience="10")  # wrong
nn.Model(nn.Dense(3)).fit([[1.0]], [0])  # lists are data: this is right
